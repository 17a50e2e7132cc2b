"""The pages of the documentation that are written by the program itself: `python -m switchguard.cli.pages docs`.

A test holds them in step: nobody edits them by hand.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from switchguard import plugins
from switchguard.cli.main import app
from switchguard.cli.story import CAPABILITIES, driver_object
from switchguard.edge.reference import settings_reference

GENERATED = "<!-- written by python -m switchguard.cli.pages docs; a test compares -->\n"


def platforms() -> str:
    """What each driver reads and writes, and what no real device has confirmed."""
    rows = [driver_object(name) for name in plugins.driver_names()]
    head = ["driver", *CAPABILITIES, "penalties", "MAC block drops", "diff", "timed revert"]
    lines = ["# Platforms", "", GENERATED, "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        reads = ("yes" if name in row["reads"] else "–" for name in CAPABILITIES)
        penalties = ", ".join(f"{kind} ({', '.join(scopes)})" for kind, scopes in row["penalties"].items()) or "–"
        drops = row["directions"] if "block" in row["penalties"] else "–"
        cells = (row["driver"], *reads, penalties, drops, row["diff"] or "–", "yes" if row["timed_revert"] else "–")
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "Scopes: `mac_vlan` a MAC in one VLAN · `mac_device` a MAC on the whole device · `mac_adjacent` a MAC whose",
        "first hop the device is · `address` an inside address · `network` a whole subnet · `port` an access port",
        "· `everyone` every inside address at once, each counted by itself, and only for `switchguard cap everyone`.",
        "`diff`: who makes the difference that you see before a push, the device itself or switchguard.",
    ]
    for name in plugins.driver_names():
        lines += ["", f"## {name}", "", *about(name)]
    return "\n".join(lines) + "\n"


def about(name: str) -> Iterator[str]:
    """A driver's own words, and its unverified statements."""
    module = inspect.getmodule(type(plugins.driver(name)))
    yield inspect.cleandoc(module.__doc__ or "" if module else "")
    unverified = driver_object(name)["unverified"]
    if unverified:
        yield "\n**Not verified on a real device yet:**\n"
        yield from (f"- {statement}" for statement in unverified)


def commands() -> str:
    """Every command with its help and its options."""
    lines = ["# Commands", "", GENERATED]
    for path, command in walk(typer.main.get_command(app), ()):
        lines += [f"## switchguard {' '.join(path)}", "", inspect.cleandoc(command.help or ""), ""]
        options = [parameter for parameter in command.params if getattr(parameter, "help", None)]
        lines += [f"- `{' '.join((*p.opts, *p.secondary_opts))}`: {p.help}" for p in options]  # type: ignore[attr-defined]  # filtered above
        lines += [""] if options else []
    return "\n".join(lines)


def walk(
    command: typer.core.TyperGroup | object, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
    if isinstance(command, typer.core.TyperGroup):
        context = typer.Context(command)
        for name in sorted(command.list_commands(context)):
            yield from walk(command.get_command(context, name), (*path, name))
    elif isinstance(command, typer.core.TyperCommand):
        yield path, command


def policy() -> str:
    """Every key of the site's files, and what each kind of rule does."""
    return POLICY.format(generated=GENERATED) + settings_reference()


POLICY = """# The policy

{generated}
A site is a directory: `switchguard.yaml` says what may happen to whom, `hosts.yaml`, `groups.yaml` and `defaults.yaml`
say which devices there are. `switchguard check` reads them and says everything that is wrong, with file and line; as
long as something is wrong, nothing starts.

Values have units: `64kbps`, `1GB`, `2d`, `12%`, `2x`. A bare number, a sign, or a unit that does not belong there is
refused. Rates and amounts of data are decimal: 1 kbps is 1,000 bit/s, 1 GB is 10^9 octets; KiB, MiB and GiB are there
for whoever means 1,024. `<name>` stands for a name that you choose, `[]` for each item of a list.

"""

PAGES = {"platforms.md": platforms, "cli.md": commands, "policy.md": policy}


def main(directory: Path) -> None:
    for name, page in PAGES.items():
        (directory / name).write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
