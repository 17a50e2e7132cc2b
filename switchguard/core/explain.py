"""Any decision of ours -> plain sentences, months later as well as now.

Times are told in the zone that they come with, without the date where it is the same day. Words from the network and
from people (owners, reasons) are repeated without their control characters: a sentence must not steer a terminal.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from switchguard.core.changes import Change, HeldSlot, SessionFlush, Slot
from switchguard.core.model import Client, ClientId, Contested, Location, NatUsage, Station
from switchguard.core.penalties import (
    Block,
    Finding,
    Notify,
    Penalty,
    Quarantine,
    RateLimit,
    Refusal,
    Release,
    RestrictPorts,
    SessionCap,
    Unit,
    Verdict,
)
from switchguard.core.plain import plain

_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(span: timedelta | float) -> str:
    """`2 d 4 h`, `1 h 30 min`, `4 s`: the two largest units, rounded down. A bare number is seconds."""
    left = int(span.total_seconds() if isinstance(span, timedelta) else span)
    if left < 0:
        return f"-{duration(-left)}"
    counts: list[tuple[int, str]] = []
    for unit, size in _SPANS:
        count, left = divmod(left, size)
        counts.append((count, unit))
    first = next((place for place, (count, _) in enumerate(counts) if count), len(counts) - 1)
    told = [f"{count} {unit}" for count, unit in counts[first : first + 2] if count]
    return " ".join(told) or "0 s"


def rate(bits_per_second: float) -> str:
    """`64 kbit/s`, `2.5 Mbit/s`: powers of ten, as networks count."""
    return f"{_scaled(bits_per_second)}bit/s"


def volume(octets: float) -> str:
    """`1.5 GB`: powers of ten."""
    return f"{_scaled(octets)}B"


def amount(number: float, unit: Unit) -> str:
    """`12%`, `1.5 GB`, `577`, `0.85`: a finding's value or threshold."""
    match unit:
        case "share":
            return f"{100 * number:.3g}%"
        case "octets":
            return volume(number)
        case "connections":
            return f"{number:,.0f}"
        case "seconds":
            return duration(number)
        case _:
            return f"{number:.4g}"


def moment(when: datetime, beside: datetime | None = None) -> str:
    """`14:02`, or `2026-12-01 14:02` where that is not the day of `beside`; by the clock of `beside`."""
    here = when if beside is None else when.astimezone(beside.tzinfo)
    return f"{here:%H:%M}" if beside is not None and here.date() == beside.date() else f"{here:%Y-%m-%d %H:%M}"


def penalty_phrase(penalty: Penalty) -> str:
    """What is done, as a noun: `a block of its MAC`."""
    match penalty:
        case Notify():
            return "a notice"
        case SessionCap(sessions):
            return f"a cap of {sessions:,} sessions"
        case RateLimit(bits_per_second, within):
            shared = "" if within is None else f" within a box of {rate(within)}"
            return f"a limit of {rate(bits_per_second)}{shared}"
        case RestrictPorts(up_to):
            return f"a restriction to remote ports up to {up_to}"
        case Block(by):
            return "a block of its MAC" if by == "mac" else "a block of its address"
        case Quarantine(vlan):
            return f"quarantine in VLAN {vlan}"


def not_ours(penalty: Penalty) -> str:
    """Why a slot is left alone that somebody else has filled."""
    return f"{penalty_phrase(penalty)} is there already and not ours to touch"


def client_phrase(client: ClientId) -> str:
    """Whom it is about: the identity itself, or `everyone on gw1`."""
    sort, _, name = client.partition(":")
    return plain(f"everyone on {name}" if sort == "everyone" else client)


def slot_phrase(slot: Slot) -> str:
    """Where it is done: `02:00:00:00:00:07 in VLAN 10 on sw1`."""
    addresses = (str(it) for it in (slot.address, slot.network) if it is not None)
    return f"{' '.join((*addresses, *_station_words(slot.station))) or 'everyone'} on {slot.device}"


def change_sentence(change: Change) -> str:
    """What is about to happen in one place, and why."""
    tail = f"{slot_phrase(change.slot)}{_because(change.why)}"
    if change.before is None:
        return f"new: {_phrase(change.after)} for {tail}"
    if change.after is None:
        return f"lifted: {_phrase(change.before)} for {tail}"
    return f"changed: {_phrase(change.before)} to {_phrase(change.after)} for {tail}"


def refusal_sentence(refusal: Refusal) -> str:
    """What we declined to do, where, and why; the safeguard's word comes last, for searching."""
    where = f" on {refusal.device}" if refusal.device else ""
    where = "" if refusal.what.endswith(where) else where
    return f"{plain(refusal.what)}{where}: {plain(refusal.why)} [{refusal.safeguard}]"


def flush_sentence(flush: SessionFlush) -> str:
    return f"forget the sessions of {_listed(flush.addresses)} on {flush.device}"


def contested_sentence(it: Contested) -> str:
    """Whose MAC it is cannot be said, why, and which port is the suspicious one."""
    uses = "is used by more than one station" if it.certain else "may be used by more than one station"
    where = it.suspect
    suspect = f"; suspicious is {where.device} port {where.station.port}" if where is not None else ""
    return f"{it.mac} {uses}: {plain(it.why)}{suspect}"


def verdict_sentence(verdict: Verdict, now: datetime | None = None) -> str:
    """`mac:… has a block of its MAC since 14:02 until 16:02 (1 h 58 min left) because …`.

    Without `now` the start carries its date and nothing is counted down: the form for the history.
    """
    since = moment(verdict.since, now)
    if verdict.until is None:
        until = "until somebody lifts it"
    else:
        left = f" ({duration(verdict.until - now)} left)" if now is not None and verdict.until > now else ""
        until = f"until {moment(verdict.until, now or verdict.since)}{left}"
    whose = f"asked for by {verdict.requested_by}" if verdict.requested_by else f"rule {verdict.rule}"
    again = f", offence {verdict.offence}" if verdict.offence > 1 else ""
    whom = client_phrase(verdict.client)
    where = f" on {verdict.on_device}" if verdict.on_device and not whom.endswith(f" on {verdict.on_device}") else ""
    head = f"{whom}: {penalty_phrase(verdict.penalty)}{where} since {since} {until}"
    return f"{head}{_because(verdict.because)} ({whose}{again})"


def release_sentence(release: Release) -> str:
    verdict = release.verdict
    ended = f"{penalty_phrase(verdict.penalty)} of {moment(verdict.since)} ends"
    return f"{client_phrase(verdict.client)}: {ended}{_because(release.why)}"


def finding_sentence(finding: Finding) -> str:
    polls = "poll" if finding.streak == 1 else "polls in a row"
    value, threshold = amount(finding.value, finding.unit), amount(finding.threshold, finding.unit)
    head = f"rule {finding.rule}: {value}, threshold {threshold}, {finding.streak} {polls}"
    return f"{head}{_because(finding.because)}"


def location_sentence(location: Location | None, why_not: str = "") -> str:
    """`sw1 port Gi0/7, VLAN 10, seen 4 s ago, confidence 0.95`."""
    if location is None:
        return f"place unknown{f': {plain(why_not)}' if why_not else ''}"
    station = location.station
    port = f" port {station.port}" if station.port else ""
    vlan = f", VLAN {station.vlan}" if station.vlan is not None else ""
    seen = f"seen {duration(location.age_s)} ago, confidence {location.confidence:.2f}"
    return f"{switches(location)}{port}{vlan}, {seen}"


def switches(location: Location) -> str:
    """`sw1`, or `nx1+nx2` for an aggregate of both."""
    return "+".join(sorted(location.devices))


def usage_sentence(usage: NatUsage) -> str:
    """The counted facts; what they mean is the naughty factor's to say."""
    told = [f"{usage.sessions:,} sessions to {usage.remotes:,} hosts on {usage.device}"]
    if usage.active_share is not None:
        told.append(f"{usage.active_share:.0%} active")
    if usage.bytes_in is not None and usage.bytes_out is not None:
        told.append(f"{volume(usage.bytes_in)} in, {volume(usage.bytes_out)} out")
    return ", ".join(told)


def held_sentence(held: HeldSlot) -> str:
    return f"{penalty_phrase(held.penalty)} for {slot_phrase(held.slot)}, {held.state} since {moment(held.since)}"


def story(
    client: Client,
    findings: Sequence[Finding] = (),
    verdicts: Sequence[Verdict] = (),
    held: Sequence[HeldSlot] = (),
    refusals: Sequence[Refusal] = (),
    now: datetime | None = None,
) -> tuple[str, ...]:
    """Everything about one client, one sentence each: who, where, what it does, what was found, what stands and where.

    The sequences may be everybody's; only what concerns this client is told.
    """
    ours = tuple(verdict for verdict in verdicts if concerns(verdict, client))
    ids = {verdict.id for verdict in ours}
    return (
        _who(client),
        location_sentence(client.location, client.why_no_location),
        *((usage_sentence(client.usage),) if client.usage is not None else ()),
        *(finding_sentence(finding) for finding in findings if finding.client == client.identity),
        *(verdict_sentence(verdict, now) for verdict in ours),
        *(held_sentence(slot) for slot in held if ids.intersection(slot.verdicts)),
        *(f"declined: {refusal_sentence(it)}" for it in refusals if it.client == client.identity or it.verdict in ids),
    )


def concerns(verdict: Verdict, client: Client) -> bool:
    """By identity, or by a MAC that both have."""
    return verdict.client == client.identity or not set(verdict.macs).isdisjoint(client.macs)


def _who(client: Client) -> str:
    owner = f", {plain(client.owner)}" if client.owner else ""
    return f"{plain(client.identity)}{owner}: MAC {_listed(client.macs)}, address {_listed(client.addresses)}"


def _station_words(station: Station) -> tuple[str, ...]:
    mac = () if station.mac is None else (str(station.mac),)
    vlan = () if station.vlan is None else (f"in VLAN {station.vlan}",)
    port = () if station.port is None else (f"port {station.port}",)
    return (*mac, *port, *vlan)


def _phrase(penalty: Penalty | None) -> str:
    return "nothing" if penalty is None else penalty_phrase(penalty)


def _because(why: str) -> str:
    return f" because {plain(why)}" if why else ""


def _listed(things: Sequence[object]) -> str:
    return ", ".join(str(thing) for thing in things) or "unknown"


def _scaled(number: float) -> str:
    """At most four digits: `64 k`, `1.5 G`, `12 `."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.4g} {prefix}"
    return f"{number:.0f} "
