"""`switchguard`: every command, and what an error looks like.

Exit codes: 0 done or nothing to do, 1 error, 2 there are changes (dry run), 3 refused by a safeguard.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from switchguard.cli import act, demo, lab, read, service, show, story
from switchguard.errors import SwitchguardError

INTERRUPTED = 130

app = typer.Typer(
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


LOOK, ACT, RUN = "Look", "Act", "Run"
app.command(rich_help_panel=LOOK)(read.check)
app.command(rich_help_panel=LOOK)(read.poll)
app.command(rich_help_panel=LOOK)(read.top)
app.command(rich_help_panel=LOOK)(read.locate)
app.command(rich_help_panel=LOOK)(story.explain)
app.command(rich_help_panel=LOOK)(read.plan)
app.command(rich_help_panel=LOOK)(story.penalties)
app.command(rich_help_panel=LOOK)(story.drivers)
app.command(rich_help_panel=ACT)(act.apply)
for name, group in (("block", act.block), ("unblock", act.unblock), ("limit", act.limit), ("cap", act.cap)):
    app.add_typer(group, name=name, rich_help_panel=ACT)
app.add_typer(story.exempt, name="exempt", rich_help_panel=ACT)
app.command("release-all", rich_help_panel=ACT)(act.release_all)
app.command(rich_help_panel=RUN)(service.run)
app.command(rich_help_panel=RUN)(service.status)
app.command(rich_help_panel=RUN)(act.pause)
app.command(rich_help_panel=RUN)(act.resume)
lab.app.command("demo")(demo.demo)
app.add_typer(lab.app, name="lab", rich_help_panel=RUN)


def main() -> None:
    """The console script: translates errors into a sentence and an exit code, never a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    try:
        result = app(arguments, prog_name="switchguard", standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:
        show.complain(f"error: {error.format_message()}")
        return 1
    except SwitchguardError as error:
        show.complain(f"error: {error}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        show.complain("interrupted")
        return INTERRUPTED
    except Exception as defect:  # the process boundary: an operator gets a sentence, a developer asks
        if "SWITCHGUARD_DEBUG" in os.environ:
            raise
        show.complain(f"error: a defect in switchguard: {type(defect).__name__}: {defect}")
        show.complain("nothing was left half-written; SWITCHGUARD_DEBUG=1 shows where, for the report")
        return 1
    return result if isinstance(result, int) else 0
