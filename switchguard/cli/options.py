"""The options that many commands share, declared once, and those that go together."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text; keys as in docs/json.md.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change and stop; exit code 2 if anything.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="SNAP.JSON", help="A snapshot saved by `poll --save` instead of the devices."),
]
Recording = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="A snapshot saved by `poll --save`, a recorded evening, or `history`: today, as remembered.",
    ),
]
OtherPolicy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="This file instead of the site's switchguard.yaml."),
]
BY_HAND = "by hand"
Reason = Annotated[
    str,
    typer.Option(
        "--reason", help="Why, for the ledger and for `explain`.", callback=lambda said: said.strip() or BY_HAND
    ),
]
For = Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h or 2d.")]
On = Annotated[str | None, typer.Option("--on", metavar="DEVICE", help="Enforce on this device instead of the zone's.")]
Vlan = Annotated[
    int | None, typer.Option("--vlan", min=1, max=4094, help="With --on: the VLAN, when the client is not located.")
]
Override = Annotated[
    bool, typer.Option("--override-exemption", help="Penalise although an exemption says no; goes into the ledger.")
]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is to be carried out."""

    dry_run: DryRun = False
    yes: Yes = False
    as_json: Json = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a person says of a penalty besides whom it is for."""

    lasts: For = "2h"
    on: On = None
    reason: Reason = BY_HAND
    override: Override = False


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters of such a kind are, on the command line, the options of their fields."""
    own = inspect.signature(command).parameters.values()
    kinds = {it.name: it.annotation for it in own if isinstance(it.annotation, type) and is_dataclass(it.annotation)}

    def run(**given: Any) -> None:
        for name, kind in kinds.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    update_wrapper(run, command, ("__module__", "__name__", "__qualname__", "__doc__"), ())
    spread_out = [option for it in own for option in (_options(kinds[it.name]) if it.name in kinds else (it,))]
    run.__signature__ = inspect.Signature(spread_out)  # type: ignore[attr-defined] # what inspect.signature looks for
    return run


def _options(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
