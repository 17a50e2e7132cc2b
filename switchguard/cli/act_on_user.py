"""`block user`, `limit user`, `cap user`, `unblock user`: for a person, wherever they are connected from."""

from typing import Annotated, Literal, get_args

import typer

from switchguard.cli.act import Rate, Sessions, block, cap, lift, limit, penalise, spelt, unblock
from switchguard.cli.options import BY_HAND, Manner, Reason, Request, spread
from switchguard.cli.targets import parse_user
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.core.users import user_id
from switchguard.edge.units import parse_rate

__all__ = ["block", "cap", "limit", "unblock"]

By = Literal["address", "mac"]
ByOption = Annotated[str, typer.Option(help="address (at the gateway) or mac; a VPN session has no MAC.")]
UserArgument = Annotated[str, typer.Argument(metavar="NAME", help="As the VPN or the registry calls them.")]


@block.command("user")
@spread
def block_user(
    ctx: typer.Context, name: UserArgument, request: Request, manner: Manner, by: ByOption = "address"
) -> None:
    """Block a person, with every address that they have; it follows them to the next one.

    Example: switchguard block user alice --for 30m
    """
    penalise(ctx, parse_user(name), Block(_by(by)), request, manner)


@limit.command("user")
@spread
def limit_user(ctx: typer.Context, name: UserArgument, rate: Rate, request: Request, manner: Manner) -> None:
    """Limit the rate of a person.

    Example: switchguard limit user alice --rate 5Mbps
    """
    penalise(ctx, parse_user(name), RateLimit(spelt(parse_rate, rate)), request, manner)


@cap.command("user")
@spread
def cap_user(ctx: typer.Context, name: UserArgument, sessions: Sessions, request: Request, manner: Manner) -> None:
    """Cap the sessions of a person. Sessions that exist stay.

    Example: switchguard cap user alice --sessions 100
    """
    penalise(ctx, parse_user(name), SessionCap(sessions), request, manner)


@unblock.command("user")
@spread
def unblock_user(ctx: typer.Context, name: UserArgument, manner: Manner, reason: Reason = BY_HAND) -> None:
    """Lift every penalty of a person, and only ours; connected or not.

    Example: switchguard unblock user alice
    """
    wanted = parse_user(name)
    lift(ctx, lambda verdict: verdict.client == user_id(wanted), wanted, reason, manner)


def _by(text: str) -> By:
    for choice in get_args(By):
        if text == choice:
            chosen: By = choice
            return chosen
    raise typer.BadParameter(f"{text!r}; there are: {', '.join(get_args(By))}", param_hint="--by")
