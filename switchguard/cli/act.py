"""Commands that change something: apply, block, unblock, limit, cap, exempt, release-all, pause, resume.

All of them go the same way: verdicts -> plan (with every safeguard) -> diff -> question -> apply -> read-back.
"""

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypeVar

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import DryRun, For, Json, On, Override, Reason, Vlan, Yes
from switchguard.cli.read import look_around, previews
from switchguard.cli.targets import Target, find, meant, parse_address, parse_mac
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.attribute import attribute
from switchguard.core.changes import Outcome, Plan
from switchguard.core.decide import manual
from switchguard.core.explain import penalty_phrase, verdict_sentence
from switchguard.core.model import Attribution
from switchguard.core.notices import News
from switchguard.core.penalties import Block, Decision, Penalty, RateLimit, Release, SessionCap, Verdict
from switchguard.core.plan import nothing, restricted
from switchguard.cycle import PLACES, USAGE, look, make_plan, remember
from switchguard.edge.units import parse_duration, parse_rate
from switchguard.errors import BadTarget, UnknownPlugin

CHANGES_PENDING, REFUSED = 2, 3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is to be carried out."""

    dry_run: bool = False
    yes: bool = False
    as_json: bool = False


def operator() -> str:
    """Who is asking, for the ledger."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def carry_out(
    wiring: Wiring,
    attribution: Attribution,
    manner: Manner,
    new: Sequence[Verdict] = (),
    released: Sequence[Release] = (),
) -> None:
    """Plan for these verdicts and releases alone, show it, ask, do it, and exit with the right code."""
    ended = {release.verdict.id for release in released}
    wanted = [verdict for verdict in wiring.ledger.standing() if verdict.id not in ended]
    whole = make_plan(wiring.site.policy, wiring.doors(), attribution, [*wanted, *new], clock())
    plan = restricted(whole, {*ended, *(verdict.id for verdict in new)}, wiring.ledger.held())
    decision = Decision(tuple(new), tuple(released))
    letters = wiring.letters(News(decision, plan, attribution))
    outcomes = show_and_ask(wiring, plan, manner, lambda: wiring.ledger.sentence(new, released, clock(), letters))
    finish(plan, outcomes)


def show_and_ask(wiring: Wiring, plan: Plan, manner: Manner, record: Callable[[], None]) -> tuple[Outcome, ...]:
    """The diff, the question, the push. Leaves with the fitting exit code when nothing may or need be done."""
    diffs = previews(wiring, plan.changes + plan.observed)
    if not manner.as_json:
        show.show_plan(plan, diffs)
    if manner.dry_run:
        if manner.as_json:
            typer.echo(objects.dump(objects.plan_object(plan, diffs)))
        raise typer.Exit(CHANGES_PENDING if plan.changes or plan.observed else REFUSED if plan.refusals else 0)
    if plan.changes and not manner.yes and not agreed(manner):
        if manner.as_json:
            typer.echo(objects.dump(objects.done_object(plan, diffs, ())))
        raise typer.Exit(REFUSED)
    outcomes = carried_out(wiring, plan, record)
    if manner.as_json:
        typer.echo(objects.dump(objects.done_object(plan, diffs, outcomes)))
    else:
        show.show_outcomes(outcomes)
    return outcomes


def carried_out(wiring: Wiring, plan: Plan, record: Callable[[], None]) -> tuple[Outcome, ...]:
    """What is wanted goes on record first. A plan of refusals alone leaves no wish behind."""
    if plan.changes or not plan.refusals:
        record()
    if not (plan.changes or plan.adopted or plan.forgotten):
        return ()
    try:
        return wiring.apply(plan)
    except KeyboardInterrupt:
        show.complain("what was wanted is on record: `switchguard penalties` shows how far it came, and the next pass")
        show.complain("completes it; `switchguard unblock` takes it back")
        raise


def agreed(manner: Manner) -> bool:
    """Whether a person who has seen the diff says yes; says why not."""
    if manner.as_json or not sys.stdin.isatty():
        nobody = "--json shows no diff to a person" if manner.as_json else "this is no terminal"
        show.complain(f"refused: nobody to ask, since {nobody}; --yes says yes beforehand")
        return False
    if not typer.confirm("Push this?"):
        show.complain("nothing was changed")
        return False
    return True


def finish(plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Returns when all is done; else leaves with the exit code that says how it went."""
    if any(outcome.state == "failed" for outcome in outcomes):
        show.complain("not done yet; it stays on record, and every pass tries again")
        raise typer.Exit(1)
    if (plan.refusals or plan.observed) and not plan.changes:
        raise typer.Exit(REFUSED)
    if any(outcome.state == "refused" for outcome in outcomes):
        raise typer.Exit(REFUSED)


def apply(ctx: typer.Context, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """One whole pass by hand: gather, judge, show the diff, ask, push, read back.

    Example: switchguard apply --yes
    """
    wiring = Wiring.of(ctx.obj)
    with show.progress("gathering and judging"):
        seen = look(wiring.site.policy, wiring.doors(), wiring.gather(USAGE | PLACES))
    outcomes = show_and_ask(wiring, seen.plan, Manner(dry_run, yes, as_json), lambda: remember(wiring.doors(), seen))
    finish(seen.plan, outcomes)


def penalise(
    ctx: typer.Context, target: Target, penalty: Penalty, lasts: timedelta | None, manner: Manner, request: "Request"
) -> None:
    """A person's penalty: find the client, then as always."""
    wiring = Wiring.of(ctx.obj)
    if request.on is not None and request.on not in wiring.devices:
        raise UnknownPlugin("device", request.on, wiring.devices)
    attribution = attribute(look_around(wiring, PLACES))
    client = find(attribution, target)
    identity, macs, addresses = meant(target, client)
    verdict = manual(
        identity,
        penalty,
        clock(),
        lasts,
        request.reason,
        operator(),
        macs=macs,
        addresses=addresses,
        on_device=request.on,
        vlan=request.vlan,
        override_exemption=request.override,
        location=client.location if client else None,
    )
    carry_out(wiring, attribution, manner, new=[verdict])
    if not manner.as_json:
        show.say(verdict_sentence(verdict, verdict.since))


@dataclass(frozen=True, slots=True)
class Request:
    reason: str
    on: str | None = None
    vlan: int | None = None
    override: bool = False


block = typer.Typer(no_args_is_help=True, help="Block a client: `block mac MAC` or `block ip ADDR`.")
unblock = typer.Typer(no_args_is_help=True, help="Lift every penalty of a client: `unblock mac MAC`.")
limit = typer.Typer(no_args_is_help=True, help="Limit a client's rate: `limit mac MAC --rate 64kbps`.")
cap = typer.Typer(no_args_is_help=True, help="Cap a client's sessions: `cap ip ADDR --sessions 100`.")

MacArgument = Annotated[str, typer.Argument(metavar="MAC", help="In any spelling: 02:00:00:00:00:07, 0200.0000.0007 …")]
AddressArgument = Annotated[str, typer.Argument(metavar="ADDR", help="An inside address, IPv4 or IPv6.")]


@block.command("mac")
def block_mac(
    ctx: typer.Context,
    mac: MacArgument,
    lasts: For = "2h",
    on: On = None,
    vlan: Vlan = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Block a MAC where its zone says: shows the diff, asks, pushes, reads back, says until when.

    Example: switchguard block mac 02:00:00:00:00:07 --for 2h --dry-run
    """
    request = Request(reason, on, vlan, override)
    penalise(ctx, parse_mac(mac), Block("mac"), duration(lasts), Manner(dry_run, yes, as_json), request)


@block.command("ip")
def block_ip(
    ctx: typer.Context,
    address: AddressArgument,
    lasts: For = "2h",
    on: On = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Block an address at the gateway.

    Example: switchguard block ip 10.10.0.107 --for 30m
    """
    request = Request(reason, on, None, override)
    penalise(ctx, parse_address(address), Block("address"), duration(lasts), Manner(dry_run, yes, as_json), request)


@limit.command("mac")
def limit_mac(
    ctx: typer.Context,
    mac: MacArgument,
    rate: Annotated[str, typer.Option(help="Such as 64kbps or 2Mbps.")],
    lasts: For = "2h",
    on: On = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Limit the rate of a client, at the gateway by address or on its access port.

    Example: switchguard limit mac 02:00:00:00:00:07 --rate 2Mbps --for 1h
    """
    request = Request(reason, on, None, override)
    limited = RateLimit(spelt(parse_rate, rate))
    penalise(ctx, parse_mac(mac), limited, duration(lasts), Manner(dry_run, yes, as_json), request)


@cap.command("ip")
def cap_ip(
    ctx: typer.Context,
    address: AddressArgument,
    sessions: Annotated[int, typer.Option(min=1, help="New sessions beyond this many are refused.")],
    lasts: For = "2h",
    on: On = None,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    override: Override = False,
    as_json: Json = False,
) -> None:
    """Cap the sessions of an address at the gateway. Sessions that exist stay.

    Example: switchguard cap ip 10.10.0.107 --sessions 100
    """
    request = Request(reason, on, None, override)
    penalise(ctx, parse_address(address), SessionCap(sessions), duration(lasts), Manner(dry_run, yes, as_json), request)


@unblock.command("mac")
def unblock_mac(
    ctx: typer.Context,
    mac: MacArgument,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Lift every penalty of a MAC, and only ours.

    Example: switchguard unblock mac 02:00:00:00:00:07
    """
    wanted = parse_mac(mac)
    lift(ctx, lambda verdict: wanted in verdict.macs, f"{wanted}", reason, Manner(dry_run, yes, as_json))


@unblock.command("ip")
def unblock_ip(
    ctx: typer.Context,
    address: AddressArgument,
    reason: Reason = "by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Lift every penalty of an address, and only ours.

    Example: switchguard unblock ip 10.10.0.107
    """
    wanted = parse_address(address)
    lift(ctx, lambda verdict: wanted in verdict.addresses, f"{wanted}", reason, Manner(dry_run, yes, as_json))


def lift(ctx: typer.Context, concerns: Callable[[Verdict], bool], what: str, reason: str, manner: Manner) -> None:
    wiring = Wiring.of(ctx.obj)
    why = f"{reason} ({operator()})"
    released = [Release(verdict, why) for verdict in wiring.ledger.standing() if concerns(verdict)]
    if not released:
        raise BadTarget(f"no penalty of ours stands against {what}; `switchguard penalties` lists them")
    carry_out(wiring, attribute(look_around(wiring, PLACES)), manner, released=released)
    if not manner.as_json:
        for release in released:
            show.say(f"lifted for {release.verdict.client}: {penalty_phrase(release.verdict.penalty)}")


def release_all(
    ctx: typer.Context, reason: Reason = "by hand", dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Lift everything that we hold, everywhere. Other people's lines stay.

    Example: switchguard release-all --dry-run
    """
    wiring = Wiring.of(ctx.obj)
    manner = Manner(dry_run, yes, as_json)
    standing = wiring.ledger.standing()
    if not standing and not wiring.ledger.held():
        empty = objects.dump(objects.done_object(nothing(clock()), {}, ()))
        typer.echo(empty if as_json else "nothing stands")
        return
    released = [Release(verdict, f"release-all: {reason} ({operator()})") for verdict in standing]
    attribution = attribute(look_around(wiring, PLACES))
    plan = make_plan(wiring.site.policy, wiring.doors(), attribution, (), clock())
    letters = wiring.letters(News(Decision((), tuple(released)), plan, attribution))
    outcomes = show_and_ask(wiring, plan, manner, lambda: wiring.ledger.sentence((), released, clock(), letters))
    finish(plan, outcomes)


def duration(text: str) -> timedelta:
    return spelt(parse_duration, text)


def spelt(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise BadTarget(str(error)) from None


def pause(
    ctx: typer.Context,
    reason: Annotated[str, typer.Argument(help="Why, for everybody who wonders.")] = "by hand",
    as_json: Json = False,
) -> None:
    """Stop all writes at once, the running service's included; checked before every single write.

    Example: switchguard pause "keynote until noon"
    """
    ledger = Wiring.of(ctx.obj).ledger
    ledger.pause(reason, operator())
    if as_json:
        typer.echo(objects.dump({"paused": ledger.paused()}))
    else:
        show.say("paused: nothing is written to any device until `switchguard resume`")


def resume(ctx: typer.Context, as_json: Json = False) -> None:
    """Allow writes again.

    Example: switchguard resume
    """
    there_was_a_pause = Wiring.of(ctx.obj).ledger.resume(operator())
    if as_json:
        typer.echo(objects.dump({"paused": None}))
    else:
        show.say("resumed" if there_was_a_pause else "writes were not paused")
