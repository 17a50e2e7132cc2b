"""`switchguard`: every command, and what an error looks like.

Exit codes: 0 done or nothing to do, 1 error, 2 there are changes (dry run), 3 refused by a safeguard.
"""

import errno
import gc
import os
import signal
import sys
from collections.abc import Mapping
from getpass import getuser
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from switchguard.cli import show
from switchguard.errors import SwitchguardError

INTERRUPTED = 130
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a file says that has no room, and a terminal that is gone: no fault of ours."""

LOOK, ACT, RUN = "Look", "Act", "Run"
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "check": (LOOK, "read", "check"),
    "poll": (LOOK, "read", "poll"),
    "top": (LOOK, "read", "top"),
    "locate": (LOOK, "read", "locate"),
    "explain": (LOOK, "story", "explain"),
    "usage": (LOOK, "usage", "usage"),
    "plan": (LOOK, "read", "plan"),
    "rules": (LOOK, "rules", "app"),
    "penalties": (LOOK, "story", "penalties"),
    "links": (LOOK, "identity", "links"),
    "drivers": (LOOK, "story", "drivers"),
    "analyze": (LOOK, "analyze", "analyze"),
    "apply": (ACT, "act", "apply"),
    "block": (ACT, "act_on_user", "block"),
    "unblock": (ACT, "act_on_everyone", "unblock"),
    "limit": (ACT, "act_on_user", "limit"),
    "cap": (ACT, "act_on_everyone", "cap"),
    "exempt": (ACT, "story", "exempt"),
    "unlink": (ACT, "identity", "unlink"),
    "release-all": (ACT, "release", "release_all"),
    "run": (RUN, "service", "run"),
    "notify": (RUN, "notify", "app"),
    "status": (RUN, "health", "status"),
    "web": (RUN, "web", "app"),
    "counters": (ACT, "counters", "app"),
    "pause": (RUN, "act", "pause"),
    "resume": (RUN, "act", "resume"),
    "dns-zone": (RUN, "dns_zone", "dns_zone"),
    "lab": (RUN, "lab", "app"),
}
"""Command -> its place in the help, its module in switchguard.cli, and its function or group there."""


class OnDemand(TyperGroup):
    """Imports a command's module when that command is wanted: `analyze` need not wait for the libraries of SSH."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """All of them are loaded for an unknown name, so that the nearest one can be suggested."""
        for name in [cmd_name] if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = _load(name)
        return self.commands.get(cmd_name)


def _load(name: str) -> Any:
    panel, module, attribute = COMMANDS[name]
    found = getattr(import_module(f"switchguard.cli.{module}"), attribute)
    alone = typer.Typer()
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name, rich_help_panel=panel)
    else:
        alone.command(name, rich_help_panel=panel)(found)
    return typer.main.get_group(alone).commands[name]


app = typer.Typer(
    cls=OnDemand,
    name="switchguard",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the few clients that spoil a network for everyone, and put exactly the right lines on the right switch.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"switchguard {version('switchguard')}")
        raise typer.Exit


@app.callback()
def site_option(
    ctx: typer.Context,
    site: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The site directory; else $SWITCHGUARD_SITE, /etc/switchguard, or here."),
    ] = None,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """Remembers the site for the command."""
    ctx.obj = site


def main() -> None:
    """The console script: translates errors into a sentence and an exit code, never a traceback."""
    # Else numpy starts a thread per core, for algebra that nobody does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    open_what_is_closed()
    be_somebody()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    spare_the_collector()
    sys.exit(run(sys.argv[1:]))


def open_what_is_closed() -> None:
    """`>&-` closes a stream. What was opened next would get its number, and what is meant for people would be written
    into the ledger."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(nowhere := os.open(os.devnull, os.O_RDWR), number)
            if nowhere != number:
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - as long as the process


def be_somebody() -> None:
    """In a container there may be a number that is nobody's, without a home. Libraries look for one as they load."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"
    try:
        getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"


def spare_the_collector() -> None:
    """Tables are hundreds of thousands of values without cycles; left alone, Python's garbage collector looks through
    all of them again and again, for nearly half the time of a pass, and finds nothing."""
    gc.set_threshold(50_000, 20, 100)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C, once: whoever talks to a device finishes the sentence, within its time-outs. Impatience is not an error,
    so a second Ctrl-C changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(sys.stderr.fileno(), b"\nstopping: devices in the middle of something are let finish\n")
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    try:
        result = app(arguments, prog_name="switchguard", standalone_mode=False)
    except typer.Exit as stop:
        result = stop.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # without one, the help has been shown instead
            show.complain(f"error: {message}")
        return 1
    except SwitchguardError as error:
        show.complain(f"error: {error}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except OSError as error:
        if error.errno not in UNWRITABLE:
            return complain_of_a_defect(error)
        show.complain(f"error: what was to be written could not be: {error.strerror}")
        return 1
    except Exception as defect:  # noqa: BLE001 - the process boundary: an operator gets a sentence, a developer asks
        return complain_of_a_defect(defect)
    if result == INTERRUPTED:
        show.complain("interrupted")
    return result if isinstance(result, int) else 0


def complain_of_a_defect(defect: Exception) -> int:
    if "SWITCHGUARD_DEBUG" in os.environ:
        raise defect
    show.complain(f"error: a defect in switchguard: {type(defect).__name__}: {defect}")
    show.complain("nothing was left half-written; SWITCHGUARD_DEBUG=1 shows where, for the report")
    return 1
