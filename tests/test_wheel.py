"""The built wheel, installed where no source tree is: complete, and the core's tests pass with it."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from switchguard import plugins

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel installed, and borrowed libraries.

    The editable install is not among them, since a borrowed folder's own .pth files are not read.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("switchguard", "drivers", "inventory"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source))
    run(sys.executable, *build, cwd=folder)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv/bin/python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    wheel = next(folder.glob("*.whl"))
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel), cwd=folder)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_everything_is_in_the_wheel(python: Path, tmp_path: Path) -> None:
    told = run(
        python,
        "-c",
        "import switchguard, switchguard.drivers, switchguard.inventory, switchguard.lab.demo\n"
        "from importlib.resources import files\n"
        "from switchguard import plugins\n"
        "assert (files('switchguard.lab') / 'evening.json').is_file()\n"
        "assert (files('switchguard.web') / 'languages' / 'en.toml').is_file()\n"
        "assert (files('switchguard.web') / 'templates' / 'page.html').is_file()\n"
        "print(switchguard.__file__, *(plugins.driver(name).platform for name in plugins.driver_names()))",
        cwd=tmp_path,
    )
    assert str(python.parent.parent) in told
    assert " ".join(plugins.driver_names()) in told


def test_the_core_passes_its_tests_from_the_wheel(python: Path, tmp_path: Path) -> None:
    run(
        python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(tmp_path),
        "-k", "model or reserved or surge or refresh or naughty or decide", str(ROOT / "tests/core"),
        cwd=tmp_path,
    )  # fmt: skip
