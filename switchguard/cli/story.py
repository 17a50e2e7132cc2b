"""What was decided and why: penalties, explain, exempt, drivers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer

from switchguard import plugins, ports
from switchguard.cli import objects, show
from switchguard.cli.act import carry_out, operator
from switchguard.cli.identity import family, show_family
from switchguard.cli.options import From, Json, Manner, Yes
from switchguard.cli.read import look_around
from switchguard.cli.targets import find, known_user, parse_network, parse_target, why_unknown
from switchguard.cli.usage import Hour, clients_meant, hour_object, hours_of, parse_since, show_hours
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.attribute import attribute
from switchguard.core.calendar import Calendar
from switchguard.core.copies import contested_of
from switchguard.core.everybody import everyone_meant, everyone_on, spared_by
from switchguard.core.explain import (
    client_phrase,
    finding_sentence,
    location_sentence,
    penalty_phrase,
    verdict_sentence,
)
from switchguard.core.model import Attribution, Client, ClientId, Contested, Gap, Mac, Snapshot
from switchguard.core.penalties import Exemption, Finding, Release, Verdict
from switchguard.core.policy import Policy
from switchguard.core.rules import blind_spots, judge_all
from switchguard.core.rules.naughty_factor import Factor, factor
from switchguard.core.safeguards import exempt_by, subject
from switchguard.core.traces import Link
from switchguard.cycle import PLACES, USAGE, evidence_of, past_of
from switchguard.edge.ledger import Event, PenaltyRecord
from switchguard.edge.moments import by, parse_end
from switchguard.edge.snapshots import load_snapshot
from switchguard.edge.units import parse_duration
from switchguard.errors import BadTarget, LedgerError

CAPABILITIES: Mapping[str, type[object]] = {
    "translations": ports.ReadsNat,
    "destinations": ports.ReadsDestinations,
    "size": ports.ReadsNatSize,
    "ARP/ND": ports.ReadsArp,
    "forwarding": ports.ReadsFdb,
    "interfaces": ports.ReadsInterfaces,
    "counters": ports.ReadsCounters,
    "neighbours": ports.ReadsLinks,
    "leases": ports.ReadsLeases,
    "saved tables": ports.ReadsCapture,
}


def penalties(
    ctx: typer.Context,
    history: Annotated[bool, typer.Option("--history", help="Released ones too.")] = False,
    as_json: Json = False,
) -> None:
    """What stands: who, what, where, until when and why.

    Example: switchguard penalties --history
    """
    wiring = Wiring.of(ctx.obj)
    zone = wiring.site.policy.zone
    records = wiring.ledger.penalties(include_released=history)
    if as_json:
        typer.echo(objects.dump({"penalties": [objects.penalty_record_object(record) for record in records]}))
        return
    if not records:
        show.say("nothing stands")
        return
    made = show.table("client", "penalty", "on", "since", "until", "state", "rule", "because")
    for record in records:
        verdict = record.verdict
        until = record.released_at or verdict.until
        made.add_row(
            client_phrase(verdict.client).removeprefix("mac:"),
            penalty_phrase(verdict.penalty),
            ", ".join(sorted({held.slot.device for held in record.slots})) or "-",
            local(verdict.since, zone),
            local(until, zone) if until else "somebody lifts it",
            record.state,
            verdict.rule,
            verdict.because,
        )
    show.console().print(made)


def local(moment: datetime, zone: tzinfo) -> str:
    """By the site's clock, as it is also typed; the date only when it is not today's."""
    here = moment.astimezone(zone)
    today = here.date() == clock().astimezone(zone).date()
    return here.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def explain(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(help="A MAC in any spelling, an address, or a user.")],
    file: From = None,
    since: Annotated[str, typer.Option(help="How far back the hours go: a duration (2d) or a date.")] = "2d",
    as_json: Json = False,
) -> None:
    """Why this factor, which penalties, and the whole history of a client, hour by hour.

    Example: switchguard explain 10.10.0.107
    """
    wiring = Wiring.of(ctx.obj)
    story = _story_of(wiring, target, file, since)
    if as_json:
        typer.echo(objects.dump(_story_object(target, story)))
    else:
        _show_story(story, Calendar(wiring.site.policy.zone))


@dataclass(frozen=True, slots=True)
class _Story:
    """Everything that is known of somebody. `nowhere` says why there is no place."""

    client: Client | None
    nowhere: str
    rating: Factor | None
    findings: Sequence[Finding]
    blind: Sequence[tuple[str, str]]
    contested: Sequence[Contested]
    macs: Collection[Mac]
    """Of what is probably one device."""
    links: Sequence[Link]
    penalties: Sequence[PenaltyRecord]
    events: Sequence[Event]
    hours: Sequence[Hour]


def _story_of(wiring: Wiring, target: str, file: Path | None, since: str) -> _Story:
    """From the devices or a file, and from the ledger. BadTarget if neither knows anything."""
    wanted, policy, now = parse_target(target), wiring.site.policy, clock()
    snapshot = load_snapshot(file) if file else look_around(wiring, USAGE | PLACES)
    attribution = attribute(snapshot)
    client = find(attribution, wanted)
    doors = wiring.doors()
    evidence = evidence_of(policy, doors, snapshot, attribution, past_of(policy, doors, attribution.at))
    theirs = client.macs if client else ()
    macs, links = family(wiring, {*theirs, *((wanted,) if isinstance(wanted, Mac) else ())})
    names = {str(wanted), *(map(str, (*client.macs, *client.addresses, client.identity)) if client else ())}
    names |= {name for mac in macs for name in (str(mac), f"mac:{mac}")}
    names |= {everyone_on(client.usage.device)} if client and client.usage else set()
    meant = {*clients_meant(wiring.archive, wanted), *((client.identity,) if client else ())}
    meant |= {ClientId(f"mac:{mac}") for mac in macs}
    sources = {str(it) for it in (*(client.addresses if client else ()), wanted)}
    begins, calendar = parse_since(since, now, policy.zone), Calendar(policy.zone)
    records = wiring.ledger.penalties(include_released=True)
    story = _Story(
        client,
        client.why_no_location if client else why_unknown(attribution, wanted),
        factor(client.usage) if client and client.usage else None,
        [
            finding
            for finding in judge_all(evidence, policy.rules)
            if client is not None and (finding.client == client.identity or not {*finding.macs}.isdisjoint(theirs))
        ],
        blind_spots(evidence, policy.rules),
        contested_of(attribution, client) if client else (),
        macs,
        links,
        [record for record in records if names & set(subjects(record.verdict))],
        wiring.ledger.history(*sorted(names)),
        hours_of(wiring.archive, sorted(meant), sorted(sources), begins, now, calendar),
    )
    if client is None and not story.penalties and not story.events and not story.hours:
        raise BadTarget(f"nothing is known of {target}: {story.nowhere}")
    return story


def _story_object(target: str, story: _Story) -> objects.Json:
    return {
        "target": target,
        "client": objects.client_object(story.client, story.rating) if story.client else None,
        "factor": objects.factor_object(story.rating) if story.rating else None,
        "findings": [objects.finding_object(finding) for finding in story.findings],
        "penalties": [objects.penalty_record_object(record) for record in story.penalties],
        "history": [objects.event_object(event) for event in story.events],
        "links": [objects.link_object(link) for link in story.links],
        "hours": [hour_object(hour) for hour in story.hours],
        "blind_spots": objects.blind_spot_objects(story.blind),
        "contested": [objects.contested_object(it) for it in story.contested],
    }


def _show_story(story: _Story, calendar: Calendar) -> None:
    show.show_location(story.client, story.nowhere)
    show.show_contested(story.contested)
    show_family(story.macs, story.links)
    if story.rating:
        show.say(f"factor {story.rating.value:.2f}: {story.rating.because}")
        for part, value in story.rating.parts.items():
            show.say(f"  {part}: {value:.2f}")
    for finding in story.findings:
        show.say(finding_sentence(finding))
    show.show_blind_spots(story.blind)
    for record in story.penalties:
        show.say(f"{record.state}: {verdict_sentence(record.verdict, clock().astimezone(calendar.zone))}")
        if record.verdict.location:
            show.say(f"  seen at {location_sentence(record.verdict.location)}")
    for event in story.events:
        show.say(f"{local(event.at, calendar.zone)}  {event.what} by {event.who}: {event.why}")
    show_hours(story.hours, calendar)


def subjects(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.client, *map(str, verdict.macs), *map(str, verdict.addresses))


exempt = typer.Typer(no_args_is_help=True, help="Clients and networks that are never penalised.")


@exempt.command("add")
def exempt_add(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(help="A MAC, an address, a network, or a user who is known; `user:NAME` for one to come.")
    ],
    why: Annotated[str, typer.Option(help="Why, for everybody who wonders.")],
    until: Annotated[
        str | None, typer.Option(help="A duration (2d) or a date (2026-12-01: to its end, by the site's clock).")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Exempt somebody; a standing penalty is lifted at once.

    Example: switchguard exempt add 10.10.0.0/28 --why servers --until 2d
    """
    wiring = Wiring.of(ctx.obj)
    made = parse_exemption(what, why, until, wiring.site.policy.zone)
    if made.user is not None and made.user == what:
        refuse_nobody(wiring, what)
    wiring.ledger.add_exemption(made, operator())
    if not as_json:
        show.say(f"exempt: {what} (id {made.id}): {why}")
    records = wiring.ledger.penalties()
    attribution = attribute(look_around(wiring, PLACES)) if records else None
    released = [
        Release(record.verdict, f"exempted: {why} ({operator()})")
        for record in records
        if attribution and _spares(made, record, attribution, wiring.site.policy)
    ]
    if attribution and released:
        carry_out(wiring, attribution, Manner(yes=yes, as_json=as_json), released=released)
    elif as_json:
        typer.echo(objects.dump({"exemption": objects.exemption_object(made), "outcomes": []}))


def refuse_nobody(wiring: Wiring, name: str) -> None:
    """BadTarget for a name that no client could have. Who is registered has it only where people count as one."""
    registered = (wiring.registry.people() if wiring.registry else None) or {}
    theirs = sorted(mac for mac, person in registered.items() if person == name)
    together = wiring.site.policy.identity.per_person
    known = _users_known(wiring, name) | (set(registered.values()) if together else set())
    if theirs and name not in known:
        why = "every device here counts for itself (`identity.per_person` would change that)"
        raise BadTarget(f"{name!r} is a person with devices, and {why}; exempt {', '.join(map(str, theirs))}")
    known_user(name, known)


def _users_known(wiring: Wiring, name: str) -> set[str]:
    """To the policy and the ledger; to the VPN too where neither knows the name."""
    added = wiring.ledger.exemptions(clock())
    exempt_already = (*wiring.site.policy.exemptions, *(() if isinstance(added, Gap) else added))
    clients = {str(it.verdict.client) for it in wiring.ledger.penalties(include_released=True)}
    clients |= set(wiring.archive.clients_named(name, f"user:{name}"))
    known = {it.user for it in exempt_already if it.user is not None}
    known |= {it.removeprefix("user:") for it in clients if it.startswith("user:")}
    if name not in known and wiring.site.users:
        known |= {it.user for it in wiring.users.seen_by(Snapshot(clock(), ())).users}
    return known


def _spares(made: Exemption, record: PenaltyRecord, attribution: Attribution, policy: Policy) -> bool:
    """A penalty for everybody cannot go on without whom it exempts."""
    if everyone_meant(record.verdict):
        return spared_by([made], attribution, policy, clock()) is not None
    whom = subject(record.verdict, attribution, [held.slot for held in record.slots])
    return exempt_by(whom, [made], clock()) is not None


def parse_exemption(what: str, why: str, until: str | None, zone: tzinfo) -> Exemption:
    """Whole values only; BadTarget for a network with host bits (10.10.0.1/28 is a typo for something)."""
    end = parse_until(until, clock(), zone) if until else None
    ident = f"{what} {clock():%Y%m%d%H%M%S}".replace(" ", "-")
    if "/" in what:
        return Exemption(ident, why, network=parse_network(what), until=end)
    target = parse_target(what)
    if isinstance(target, Mac):
        return Exemption(ident, why, mac=target, until=end)
    if isinstance(target, str):
        return Exemption(ident, why, user=target, until=end)
    return Exemption(ident, why, network=ip_network(target), until=end)


def parse_until(text: str, now: datetime, zone: tzinfo) -> datetime:
    """So long from now, or the end of a day by the site's clock. BadTarget for anything else, and for what is over."""
    try:
        return now + parse_duration(text)
    except ValueError:
        pass
    try:
        end = by(zone, parse_end(text))
    except ValueError:
        raise BadTarget(f"{text!r} is neither a duration such as 2d nor a date such as 2026-12-01") from None
    if end <= now:
        raise BadTarget(f"{text!r} is over already: here it is {now.astimezone(zone):%Y-%m-%d %H:%M}")
    return end


@exempt.command("remove")
def exempt_remove(
    ctx: typer.Context, ident: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Take an exemption back; `exempt list` shows the ids.

    Example: switchguard exempt remove 10.10.0.0/28-20261120090000
    """
    wiring = Wiring.of(ctx.obj)
    if ident in {exemption.id for exemption in wiring.site.policy.exemptions}:
        raise BadTarget(f"{ident!r} is in switchguard.yaml; take it out there")
    if not wiring.ledger.remove_exemption(ident, operator()):
        raise BadTarget(f"no exemption has the id {ident!r}; `switchguard exempt list` shows the ids")
    if as_json:
        typer.echo(objects.dump({"removed": ident}))
    else:
        show.say(f"removed: {ident}")


@exempt.command("list")
def exempt_list(ctx: typer.Context, as_json: Json = False) -> None:
    """Every exemption, from the policy file and from the command line.

    Example: switchguard exempt list --json
    """
    wiring = Wiring.of(ctx.obj)
    added = wiring.ledger.exemptions(clock())
    if isinstance(added, Gap):
        raise LedgerError(f"the exemptions cannot be read: {added.why}")
    known = (*wiring.site.policy.exemptions, *added)
    if as_json:
        typer.echo(objects.dump({"exemptions": [objects.exemption_object(e) for e in known]}))
        return
    rows, zone = show.table("id", "what", "until", "why"), wiring.site.policy.zone
    for e in known:
        rows.add_row(e.id, str(e.mac or e.network or e.user), local(e.until, zone) if e.until else "-", e.why)
    show.console().print(rows)


def drivers(as_json: Json = False) -> None:
    """What each platform's driver can read, and which penalties it can put where.

    Example: switchguard drivers
    """
    matrix = [driver_object(name) for name in plugins.driver_names()]
    if as_json:
        typer.echo(objects.dump({"drivers": matrix}))
        return
    rows = show.table("driver", *CAPABILITIES, "penalties", "diff", "unverified")
    for row in matrix:
        rows.add_row(
            row["driver"],
            *("yes" if name in row["reads"] else "-" for name in CAPABILITIES),
            ", ".join(row["penalties"]) or "-",
            row["diff"] or "-",
            str(len(row["unverified"])) if row["unverified"] else "-",
        )
    show.console().print(rows)


def driver_object(name: str) -> objects.Json:
    driver = plugins.driver(name)
    facts = driver.facts if isinstance(driver, ports.Enforces) else None
    return {
        "driver": name,
        "reads": [table for table, protocol in CAPABILITIES.items() if isinstance(driver, protocol)],
        "penalties": {kind: list(scopes) for kind, scopes in facts.penalties.items()} if facts is not None else {},
        "directions": facts.directions if facts else None,
        "capacity": dict(facts.capacity) if facts else {},
        "ownership": facts.ownership if facts else None,
        "diff": facts.diff if facts else None,
        "dry_run_diff": facts.dry_run_diff if facts else None,
        "timed_revert": facts.timed_revert if facts else None,
        "unverified": list(facts.unverified) if facts else [],
        "clears_sessions": isinstance(driver, ports.ClearsSessions),
    }
