"""`switchguard lab`: a real network on this machine, to try things on."""

import os
from typing import Annotated

import typer

from switchguard.cli import objects
from switchguard.cli.demo import demo
from switchguard.cli.options import Json
from switchguard.errors import LabError
from switchguard.lab import enter, makes
from switchguard.lab.makes import MAKES

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""Everything after the command's name is the command's own."""

app = typer.Typer(
    no_args_is_help=True,
    help="A gateway, three switches, twenty clients and an internet in network namespaces, for trying things.",
)

app.command()(demo)

Command = Annotated[list[str], typer.Argument(metavar="COMMAND…", help="The command and its arguments.")]
Switches = Annotated[
    list[str] | None,
    typer.Option(
        "--switch",
        metavar="NAME=PLATFORM",
        help=f"Another make of switch: {', '.join(sorted(MAKES))}; or gw=vyos. Repeatable.",
    ),
]
Pid = Annotated[int | None, typer.Option("--pid", help="First process of the lab, if there are several.")]


@app.command(context_settings=PASS_ON)
def run(command: Command, switches: Switches = None) -> None:
    """Build a lab, run COMMAND in it, take everything down; the exit status is COMMAND's.

    Example: switchguard lab run --switch sw2=arista_eos switchguard top
    """
    _choose(switches)
    raise typer.Exit(enter.enter(["run", *command]))


@app.command()
def up(switches: Switches = None) -> None:
    """Build a lab and keep it until Ctrl-C.

    Example: switchguard lab up
    """
    _choose(switches)
    raise typer.Exit(enter.enter(["up"]))


@app.command(context_settings=PASS_ON)
def attach(command: Command, pid: Pid = None) -> None:
    """Run COMMAND inside the lab that is up; $SWITCHGUARD_SITE is the lab's site.

    Example: switchguard lab attach switchguard check --connect
    """
    enter.attach(enter.choose_lab(pid), command)


@app.command()
def status(as_json: Json = False) -> None:
    """Which labs are running, and whether one could be built here.

    Example: switchguard lab status
    """
    inside, labs = os.environ.get("SWITCHGUARD_LAB"), list(enter.running_labs())
    why_not = None if inside else _why_none()
    if as_json:
        running = [{"pid": lab.pid, "arguments": list(lab.arguments)} for lab in labs]
        typer.echo(objects.dump({"inside": inside, "running": running, "why_not": why_not}))
        return
    if inside:
        typer.echo(f"inside a lab; its files are in {inside}")
        return
    for lab in labs:
        typer.echo(f"{lab.pid}  {' '.join(lab.arguments)}")
    typer.echo(f"no lab can be built here: {why_not}" if why_not else "a lab can be built here: switchguard lab up")


def _choose(switches: list[str] | None) -> None:
    """For everything that runs in the lab. LabError for a choice that there is not."""
    if switches:
        os.environ[makes.CHOSEN] = ",".join(switches)
    makes.chosen(os.environ.get(makes.CHOSEN, ""))


def _why_none() -> str | None:
    try:
        enter.check_programs()
        enter.check_namespaces()
    except LabError as error:
        return str(error)
    return None
