"""`block user`, `limit user`, `cap user`, `unblock user`: for a person, wherever they are connected from."""

from typing import Annotated, Literal, get_args

import typer

from switchguard.cli.act import Manner, Request, block, cap, duration, lift, limit, penalise, spelt, unblock
from switchguard.cli.options import DryRun, For, Json, On, Override, Reason, Yes
from switchguard.cli.targets import parse_user
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.core.users import user_id
from switchguard.edge.units import parse_rate

__all__ = ["block", "cap", "limit", "unblock"]

By = Literal["address", "mac"]
UserArgument = Annotated[str, typer.Argument(metavar="NAME", help="As the VPN or the registry calls them.")]


@block.command("user")
def block_user(
    ctx: typer.Context,
    name: UserArgument,
    by: Annotated[str, typer.Option(help="address (at the gateway) or mac; a VPN session has no MAC.")] = "address",
    lasts: For = "2h",
    on: On = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Block a person, with every address that they have; it follows them to the next one.

    Example: switchguard block user alice --for 30m
    """
    penalty, manner = Block(_by(by)), Manner(dry_run, yes, as_json)
    penalise(ctx, parse_user(name), penalty, duration(lasts), manner, Request(reason, on, None, override))


@limit.command("user")
def limit_user(
    ctx: typer.Context,
    name: UserArgument,
    rate: Annotated[str, typer.Option(help="Such as 64kbps or 2Mbps, for each address.")],
    lasts: For = "2h",
    on: On = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Limit the rate of a person.

    Example: switchguard limit user alice --rate 5Mbps
    """
    penalty, manner = RateLimit(spelt(parse_rate, rate)), Manner(dry_run, yes, as_json)
    penalise(ctx, parse_user(name), penalty, duration(lasts), manner, Request(reason, on, None, override))


@cap.command("user")
def cap_user(
    ctx: typer.Context,
    name: UserArgument,
    sessions: Annotated[int, typer.Option(min=1, help="New sessions beyond this many are refused, for each address.")],
    lasts: For = "2h",
    on: On = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Cap the sessions of a person. Sessions that exist stay.

    Example: switchguard cap user alice --sessions 100
    """
    penalty, manner = SessionCap(sessions), Manner(dry_run, yes, as_json)
    penalise(ctx, parse_user(name), penalty, duration(lasts), manner, Request(reason, on, None, override))


@unblock.command("user")
def unblock_user(
    ctx: typer.Context,
    name: UserArgument,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Lift every penalty of a person, and only ours; connected or not.

    Example: switchguard unblock user alice
    """
    wanted = parse_user(name)
    lift(ctx, lambda verdict: verdict.client == user_id(wanted), wanted, reason, Manner(dry_run, yes, as_json))


def _by(text: str) -> By:
    for choice in get_args(By):
        if text == choice:
            chosen: By = choice
            return chosen
    raise typer.BadParameter(f"{text!r}; there are: {', '.join(get_args(By))}", param_hint="--by")
