"""`cap everyone`, `unblock everyone`: for everybody behind one gateway, in one line of its configuration."""

from typing import Annotated

import typer

from switchguard.cli.act import Sessions, duration, lift, operator, sentence, wiring_with
from switchguard.cli.act_on_user import cap, unblock
from switchguard.cli.options import BY_HAND, For, Manner, Override, Reason, spread
from switchguard.cli.read import look_around
from switchguard.cli.wiring import clock
from switchguard.core.attribute import attribute
from switchguard.core.decide import manual
from switchguard.core.everybody import everyone_on
from switchguard.core.explain import client_phrase
from switchguard.core.penalties import SessionCap
from switchguard.cycle import USAGE

__all__ = ["cap", "unblock"]

Gateway = Annotated[str, typer.Option("--on", metavar="GATEWAY", help="The gateway whose clients are meant.")]


@cap.command("everyone")
@spread
def cap_everyone(
    ctx: typer.Context,
    sessions: Sessions,
    on: Gateway,
    manner: Manner,
    lasts: For = "2h",
    reason: Reason = BY_HAND,
    override: Override = False,
) -> None:
    """Cap the sessions of each address behind a gateway. Nobody can be spared, so exemptions there refuse it.

    Example: switchguard cap everyone --sessions 500 --on gw1 --for 2h --dry-run
    """
    wiring = wiring_with(ctx, on)
    attribution = attribute(look_around(wiring, USAGE))
    verdict = manual(
        everyone_on(on),
        SessionCap(sessions),
        clock(),
        duration(lasts),
        reason,
        operator(),
        on_device=on,
        override_exemption=override,
    )
    sentence(wiring, attribution, verdict, manner)


@unblock.command("everyone")
@spread
def unblock_everyone(ctx: typer.Context, on: Gateway, manner: Manner, reason: Reason = BY_HAND) -> None:
    """Lift the cap for everybody behind a gateway, and only ours. Penalties of single clients stay.

    Example: switchguard unblock everyone --on gw1
    """
    wiring_with(ctx, on)
    whom = everyone_on(on)
    lift(ctx, lambda verdict: verdict.client == whom, client_phrase(whom), reason, manner)
