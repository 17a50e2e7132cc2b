"""Commands that change something: apply, block, unblock, limit, cap, exempt, pause, resume; release.py has release-all.

All of them go the same way: verdicts -> plan (with every safeguard) -> diff -> question -> apply -> read-back.
"""

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, TypeVar

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import BY_HAND, Json, Manner, Reason, Request, Vlan, spread
from switchguard.cli.read import look_around, previews
from switchguard.cli.targets import Target, find, meant, parse_address, parse_mac
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.attribute import attribute
from switchguard.core.changes import HeldSlot, Outcome, Plan
from switchguard.core.decide import manual
from switchguard.core.explain import client_phrase, penalty_phrase, verdict_sentence
from switchguard.core.model import Attribution
from switchguard.core.notices import News
from switchguard.core.penalties import Block, Decision, Penalty, RateLimit, Release, SessionCap, Verdict
from switchguard.core.plan import lifted_because, restricted
from switchguard.cycle import PLACES, USAGE, look, make_plan, remember
from switchguard.edge.recheck import FRESH, NEVER_FRESH
from switchguard.edge.units import parse_duration, parse_rate
from switchguard.errors import BadTarget, UnknownPlugin

CHANGES_PENDING, REFUSED = 2, 3
MOST_SESSIONS = 1_000_000
"""No address comes near, and beyond a few millions some gateways take no such line."""
T = TypeVar("T")


def operator() -> str:
    """Who is asking, for the ledger."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def carry_out(
    wiring: Wiring,
    attribution: Attribution,
    manner: Manner,
    new: Sequence[Verdict] = (),
    released: Sequence[Release] = (),
    once_agreed: Callable[[], None] = lambda: None,
) -> None:
    """Plan for these verdicts and releases alone, show it, ask, do it, and exit with the right code.

    `once_agreed` is what is to be remembered before anything else, unless it is a dry run or the answer is no.
    """
    ended = {release.verdict.id for release in released}
    standing, held = wiring.ledger.standing(), wiring.ledger.held()
    wanted = [verdict for verdict in standing if verdict.id not in ended]
    whole = make_plan(wiring.site.policy, wiring.doors(), attribution, [*wanted, *new], clock())
    concerned = restricted(whole, {*ended, *(verdict.id for verdict in new)}, held)
    plan = lifted_because(concerned, released, held)
    decision = Decision(tuple(new), tuple(it for it in released if it.verdict in standing))
    decided(wiring, attribution, plan, decision, manner, once_agreed)


def decided(
    wiring: Wiring,
    attribution: Attribution,
    plan: Plan,
    decision: Decision,
    manner: Manner,
    once_agreed: Callable[[], None] = lambda: None,
) -> None:
    """What a person has decided, and the plan of it: on record with its letters and done, if the answer is yes."""
    letters = wiring.letters(News(decision, plan, attribution))

    def record() -> None:
        wiring.ledger.sentence(decision.standing, decision.released, clock(), letters)

    finish(plan, show_and_ask(wiring, plan, manner, record, once_agreed))


def show_and_ask(
    wiring: Wiring,
    plan: Plan,
    manner: Manner,
    record: Callable[[], None],
    once_agreed: Callable[[], None] = lambda: None,
) -> tuple[Outcome, ...]:
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
    once_agreed()
    outcomes = carried_out(wiring, plan, record, FRESH if manner.yes else NEVER_FRESH)
    if manner.as_json:
        typer.echo(objects.dump(objects.done_object(plan, diffs, outcomes)))
    else:
        show.show_outcomes(outcomes)
    return outcomes


def carried_out(
    wiring: Wiring, plan: Plan, record: Callable[[], None], fresh: timedelta = FRESH
) -> tuple[Outcome, ...]:
    """What is wanted goes on record first. A plan of refusals alone leaves no wish behind, but for a release that waits
    for its device: the next pass lifts it as soon as it can; nor does one that was overtaken. `fresh`: how old what it
    rests on may be."""
    if plan.changes and (refused := all_outdated(wiring, plan)):
        return refused
    if plan.changes or all(it.lifting for it in plan.refusals):
        record()
    if not (plan.changes or plan.adopted or plan.forgotten):
        return ()
    try:
        return wiring.apply(plan, fresh)
    except KeyboardInterrupt:
        show.complain("what was wanted is on record: `switchguard penalties` shows how far it came, and the next pass")
        show.complain("completes it; `switchguard unblock` takes it back")
        raise


def all_outdated(wiring: Wiring, plan: Plan) -> tuple[Outcome, ...]:
    """The refusals, if all that the plan would change was overtaken while somebody thought about it; else nothing."""
    why = wiring.ledger.outdated(plan)
    if any(change not in why for change in plan.changes):
        return ()
    refused = tuple(Outcome(change, "refused", why[change], None, 0.0) for change in plan.changes)
    wiring.ledger.record(refused, clock())
    return refused


def agreed(manner: Manner, question: str = "Push this?") -> bool:
    """Whether a person who has seen the diff says yes; says why not."""
    if manner.as_json or not sys.stdin.isatty():
        nobody = "--json shows no diff to a person" if manner.as_json else "this is no terminal"
        show.complain(f"refused: nobody to ask, since {nobody}; --yes says yes beforehand")
        return False
    if not typer.confirm(question):
        show.complain("nothing was changed")
        return False
    return True


def finish(plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Returns when all is done; else leaves with the exit code that says how it went."""
    left = {(refusal.device, refusal.what) for refusal in plan.refusals if refusal.lifting}
    if left:
        where = ", ".join(sorted({str(device) for device, _ in left}))
        show.complain(f"{len(left)} still to be lifted, on {where}: it stays on record, and every pass tries again")
    if any(outcome.state == "failed" for outcome in outcomes):
        show.complain("not done yet; it stays on record, and every pass tries again")
        raise typer.Exit(1)
    if left or ((plan.refusals or plan.observed) and not plan.changes):
        raise typer.Exit(REFUSED)
    if any(outcome.state == "refused" for outcome in outcomes):
        raise typer.Exit(REFUSED)


@spread
def apply(ctx: typer.Context, manner: Manner) -> None:
    """One whole pass by hand: gather, judge, show the diff, ask, push, read back.

    Example: switchguard apply --yes
    """
    wiring = Wiring.of(ctx.obj)
    with show.progress("gathering and judging"):
        seen = look(wiring.site.policy, wiring.doors(), wiring.gather(USAGE | PLACES))
    outcomes = show_and_ask(wiring, seen.plan, manner, lambda: remember(wiring.doors(), seen))
    finish(seen.plan, outcomes)


def penalise(
    ctx: typer.Context, target: Target, penalty: Penalty, request: Request, manner: Manner, vlan: int | None = None
) -> None:
    """A person's penalty: find the client, then as always."""
    wiring = wiring_with(ctx, request.on)
    attribution = attribute(look_around(wiring, PLACES))
    client = find(attribution, target)
    identity, macs, addresses = meant(target, client)
    verdict = manual(
        identity,
        penalty,
        clock(),
        duration(request.lasts),
        request.reason,
        operator(),
        macs=macs,
        addresses=addresses,
        on_device=request.on,
        vlan=vlan,
        override_exemption=request.override,
        location=client.location if client else None,
    )
    sentence(wiring, attribution, verdict, manner)


def sentence(wiring: Wiring, attribution: Attribution, verdict: Verdict, manner: Manner) -> None:
    """Carries it out, and says until when, and what is in force instead."""
    carry_out(wiring, attribution, manner, new=[verdict])
    if manner.as_json:
        return
    show.say(verdict_sentence(verdict, verdict.since.astimezone(wiring.site.policy.zone)))
    for stricter in sorted(overruling(verdict, wiring.ledger.held())):
        show.say(f"of several causes the hardest counts: in force is {stricter} (`switchguard penalties` lists them)")


def overruling(verdict: Verdict, held: Sequence[HeldSlot]) -> set[str]:
    """What holds in the verdict's places, where that is more than it asks for."""
    there = (it.penalty for it in held if verdict.id in it.verdicts)
    alone = (replace(it, within=None) if isinstance(it, RateLimit) else it for it in there)
    return {penalty_phrase(it) for it in alone if it != verdict.penalty}


def wiring_with(ctx: typer.Context, device: str | None) -> Wiring:
    """UnknownPlugin where a device is named that the site does not have."""
    wiring = Wiring.of(ctx.obj)
    if device is not None and device not in wiring.devices:
        raise UnknownPlugin("device", device, wiring.devices)
    return wiring


block = typer.Typer(no_args_is_help=True, help="Block a client: `block mac MAC` or `block ip ADDR`.")
unblock = typer.Typer(no_args_is_help=True, help="Lift every penalty of a client: `unblock mac MAC`.")
limit = typer.Typer(no_args_is_help=True, help="Limit a client's rate: `limit mac MAC --rate 64kbps`.")
cap = typer.Typer(no_args_is_help=True, help="Cap a client's sessions: `cap ip ADDR --sessions 100`.")

Rate = Annotated[str, typer.Option(help="Such as 64kbps or 2Mbps, for each address.")]
Sessions = Annotated[
    int, typer.Option(min=1, max=MOST_SESSIONS, help="New sessions beyond this many are refused, for each address.")
]
MacArgument = Annotated[str, typer.Argument(metavar="MAC", help="In any spelling: 02:00:00:00:00:07, 0200.0000.0007 …")]
AddressArgument = Annotated[str, typer.Argument(metavar="ADDR", help="An inside address, IPv4 or IPv6.")]


@block.command("mac")
@spread
def block_mac(ctx: typer.Context, mac: MacArgument, request: Request, manner: Manner, vlan: Vlan = None) -> None:
    """Block a MAC where its zone says: shows the diff, asks, pushes, reads back, says until when.

    Example: switchguard block mac 02:00:00:00:00:07 --for 2h --dry-run
    """
    penalise(ctx, parse_mac(mac), Block("mac"), request, manner, vlan)


@block.command("ip")
@spread
def block_ip(ctx: typer.Context, address: AddressArgument, request: Request, manner: Manner) -> None:
    """Block an address at the gateway.

    Example: switchguard block ip 10.10.0.107 --for 30m
    """
    penalise(ctx, parse_address(address), Block("address"), request, manner)


@limit.command("mac")
@spread
def limit_mac(ctx: typer.Context, mac: MacArgument, rate: Rate, request: Request, manner: Manner) -> None:
    """Limit the rate of a client, at the gateway by address or on its access port.

    Example: switchguard limit mac 02:00:00:00:00:07 --rate 2Mbps --for 1h
    """
    penalise(ctx, parse_mac(mac), RateLimit(spelt(parse_rate, rate)), request, manner)


@cap.command("ip")
@spread
def cap_ip(ctx: typer.Context, address: AddressArgument, sessions: Sessions, request: Request, manner: Manner) -> None:
    """Cap the sessions of an address at the gateway. Sessions that exist stay.

    Example: switchguard cap ip 10.10.0.107 --sessions 100
    """
    penalise(ctx, parse_address(address), SessionCap(sessions), request, manner)


@unblock.command("mac")
@spread
def unblock_mac(ctx: typer.Context, mac: MacArgument, manner: Manner, reason: Reason = BY_HAND) -> None:
    """Lift every penalty of a MAC, and only ours.

    Example: switchguard unblock mac 02:00:00:00:00:07
    """
    wanted = parse_mac(mac)
    lift(ctx, lambda verdict: wanted in verdict.macs, f"{wanted}", reason, manner)


@unblock.command("ip")
@spread
def unblock_ip(ctx: typer.Context, address: AddressArgument, manner: Manner, reason: Reason = BY_HAND) -> None:
    """Lift every penalty of an address, and only ours.

    Example: switchguard unblock ip 10.10.0.107
    """
    wanted = parse_address(address)
    lift(ctx, lambda verdict: wanted in verdict.addresses, f"{wanted}", reason, manner)


def lift(ctx: typer.Context, concerns: Callable[[Verdict], bool], what: str, reason: str, manner: Manner) -> None:
    """What stands, and what has ended but is on some device still."""
    wiring = Wiring.of(ctx.obj)
    why = f"{reason} ({operator()})"
    released = [Release(it.verdict, why) for it in wiring.ledger.penalties() if concerns(it.verdict)]
    if not released:
        raise BadTarget(f"no penalty of ours stands against {what}; `switchguard penalties` lists them")
    carry_out(wiring, attribute(look_around(wiring, PLACES)), manner, released=released)
    if not manner.as_json:
        for release in released:
            whom = client_phrase(release.verdict.client)
            show.say(f"lifted for {whom}: {penalty_phrase(release.verdict.penalty)}")


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
