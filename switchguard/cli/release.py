"""`release-all`, and what becomes of lines on devices that a site no longer has."""

from typing import Annotated

import typer

from switchguard.cli import objects, show
from switchguard.cli.act import CHANGES_PENDING, REFUSED, agreed, decided, operator
from switchguard.cli.leftovers import gone
from switchguard.cli.options import BY_HAND, Manner, Reason, spread
from switchguard.cli.read import look_around
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.attribute import attribute
from switchguard.core.explain import held_sentence
from switchguard.core.penalties import Decision, Release
from switchguard.core.plan import lifted_because, nothing
from switchguard.cycle import PLACES, make_plan
from switchguard.errors import BadTarget

Forget = Annotated[
    str | None,
    typer.Option(
        "--forget",
        metavar="DEVICE",
        help="Lift nothing, but forget what we had on a device that is gone for good and in hosts.yaml no more.",
    ),
]


@spread
def release_all(ctx: typer.Context, manner: Manner, reason: Reason = BY_HAND, forget: Forget = None) -> None:
    """Lift everything that we hold, everywhere. Other people's lines stay.

    Example: switchguard release-all --dry-run
    """
    wiring = Wiring.of(ctx.obj)
    if forget is not None:
        forget_device(wiring, forget, reason, manner)
        return
    standing, held = wiring.ledger.standing(), wiring.ledger.held()
    if not standing and not held:
        empty = objects.dump(objects.done_object(nothing(clock()), {}, ()))
        typer.echo(empty if manner.as_json else "nothing stands")
        return
    why = f"release-all: {reason} ({operator()})"
    released = tuple(Release(verdict, why) for verdict in standing)
    lifted = [Release(record.verdict, why) for record in wiring.ledger.penalties()]
    attribution = attribute(look_around(wiring, PLACES))
    whole = make_plan(wiring.site.policy, wiring.doors(), attribution, (), clock())
    decided(wiring, attribution, lifted_because(whole, lifted, held), Decision((), released), manner)


# --- devices that are gone -------------------------------------------------------------------------------------------


def forget_device(wiring: Wiring, device: str, reason: str, manner: Manner) -> None:
    """Shows what would be forgotten, and asks. A device that can be asked is never forgotten: what is on it would stay
    there, and nobody would know whose it is."""
    if device in wiring.devices:
        show.complain(f"refused: {device} is in hosts.yaml; what we have there is lifted, not forgotten")
        raise typer.Exit(REFUSED)
    held = [it for it in wiring.ledger.held() if it.slot.device == device]
    if not held:
        raise BadTarget(f"we have nothing on {device!r}; devices that are gone: {', '.join(gone(wiring)) or 'none'}")
    if not manner.as_json:
        for it in held:
            show.say(f"forget: {held_sentence(it)}")
    if not manner.dry_run and (manner.yes or agreed(manner, f"Nobody will lift that if {device} comes back. Forget?")):
        wiring.ledger.forget_device(device, operator(), f"{device} is gone: {reason}")
        code = 0
    else:
        code = CHANGES_PENDING if manner.dry_run else REFUSED
    if manner.as_json:
        typer.echo(objects.dump({"device": device, "forgotten": code == 0, "slots": objects.held_objects(held)}))
    elif code == 0:
        show.say(f"forgotten: {len(held)} on {device}")
    if code:
        raise typer.Exit(code)
