"""The shape of the code, held by tests: who may import whom, who may make a Change, what the package contains."""

import ast
import configparser
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE_MAY_IMPORT = {
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "importlib",
    "ipaddress",
    "itertools",
    "math",
    "operator",
    "pkgutil",
    "re",
    "statistics",
    "types",
    "typing",
}
VALUES = ("switchguard.core.model", "switchguard.core.penalties", "switchguard.core.changes")
LAYERS = {
    "switchguard/core": ("switchguard.core",),
    "switchguard/ports.py": (*VALUES, "switchguard.core.traces", "switchguard.core.letters"),
    "switchguard/errors.py": (),
    "switchguard/plugins.py": ("switchguard.ports", "switchguard.errors"),
    "switchguard/edge": (
        "switchguard.core",
        "switchguard.ports",
        "switchguard.errors",
        "switchguard.plugins",
        "switchguard.edge",
    ),
    "switchguard/web": ("switchguard.core", "switchguard.errors", "switchguard.web"),
    "switchguard/cycle.py": ("switchguard.core", "switchguard.ports"),
    "switchguard/watch.py": ("switchguard.core", "switchguard.ports", "switchguard.errors"),
    "switchguard/between.py": ("switchguard.core", "switchguard.ports", "switchguard.cycle"),
    "switchguard/replay.py": ("switchguard.core", "switchguard.ports", "switchguard.cycle"),
    "switchguard/schedule.py": (
        "switchguard.core",
        "switchguard.ports",
        "switchguard.errors",
        "switchguard.between",
        "switchguard.cycle",
        "switchguard.watch",
    ),
    "drivers": (*VALUES, "switchguard.ports", "switchguard.errors"),
    "inventory": (*VALUES, "switchguard.ports", "switchguard.errors"),
}
ONE_FILE_EACH = {
    "gufo": 1,
    "pysnmp": 2,  # asking, and hearing traps
    "netmiko": 1,
    "napalm": 1,
    "jnpr": 1,  # PyEZ, below NAPALM
    "ncclient": 1,
    "sqlalchemy": 7,  # the ledger: tables and migrations, rows, queries, who is whom, notices; and the history
    "apscheduler": 1,
    "structlog": 1,
    "apprise": 1,
    "jinja2": 2,  # notices, and the landing page
    "prometheus_client": 1,
    "nornir": 1,
    "flask": 1,
    "waitress": 1,
    "idna": 1,
    "pydantic": 7,  # strict reading, the site's keys, and in them penalties, landing page, notices, users, identity
}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        path = ROOT / folder
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


@cache
def imports(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            names += [f"{module}.{alias.name}" for alias in node.names] if module == "switchguard" else [module]
    return tuple(names)


@pytest.mark.parametrize("place", LAYERS)
def test_imports_point_inward(place: str) -> None:
    allowed = LAYERS[place]
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(place)
        for name in imports(path)
        if name.startswith("switchguard") and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    }
    assert wrong == set()


def test_the_core_uses_a_short_list_of_the_standard_library() -> None:
    used = {name.split(".")[0] for path in sources("switchguard/core") for name in imports(path)}
    assert used - {"switchguard"} <= CORE_MAY_IMPORT


def test_the_core_asks_no_clock() -> None:
    clocks = {"now", "utcnow", "today"}
    calls = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("switchguard/core")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    }
    assert calls == set()


def test_only_the_planner_makes_a_change() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in sources("switchguard", "drivers", "inventory")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Change", "Plan"}
    }
    assert makers <= {"switchguard/core/plan.py", "switchguard/core/changes.py"}


@pytest.mark.parametrize("library", ONE_FILE_EACH)
def test_a_library_is_known_in_few_files(library: str) -> None:
    knowing = [
        str(path.relative_to(ROOT))
        for path in sources("switchguard", "drivers", "inventory")
        if any(name.split(".")[0] == library for name in imports(path))
    ]
    assert len(knowing) <= ONE_FILE_EACH[library], knowing


def test_nobody_imports_a_driver_by_name() -> None:
    platforms = {p.stem for p in (ROOT / "drivers").glob("*.py") if not p.stem.startswith("_")}
    guilty = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("switchguard", "drivers", "inventory", "tests")
        for name in imports(path)
        if name.removeprefix("switchguard.drivers.").split(".")[0] in platforms
        and name.startswith("switchguard.drivers.")
    }
    assert guilty == set()


def test_every_package_folder_is_declared() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    declared = set(config["options"]["packages"].split())
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "switchguard").rglob("__init__.py")
    } | {"switchguard.drivers", "switchguard.inventory"}
    assert declared == folders


def test_every_driver_module_is_an_entry_point() -> None:
    modules = {p.stem for p in (ROOT / "drivers").glob("*.py") if not p.stem.startswith("_")}
    assert {point.name for point in entry_points(group="switchguard.drivers")} == modules


def test_drivers_and_inventory_are_no_top_level_names() -> None:
    outside = [p for p in sys.path if p and Path(p).resolve() != ROOT]
    assert find_spec("switchguard.drivers") is not None
    assert not any((Path(p) / name / "__init__.py").exists() for p in outside for name in ("drivers", "inventory"))


def test_every_module_opens_with_a_sentence() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources("switchguard", "drivers", "inventory")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
