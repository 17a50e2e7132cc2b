"""The JSON that `--json` prints. Its keys are a promise (docs/json.md): they are only ever added to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from switchguard.core.changes import Change, Diff, HeldSlot, Outcome, Plan, Slot
from switchguard.core.copies import contested_of
from switchguard.core.model import Attribution, Client, Contested, Gap, Location, Snapshot
from switchguard.core.penalties import Exemption, Finding, Penalty, Refusal
from switchguard.core.rules.naughty_factor import Factor
from switchguard.core.traces import Link
from switchguard.errors import DeviceError

if TYPE_CHECKING:  # SQLAlchemy takes a third of a second; not every command has a ledger
    from switchguard.edge.ledger import Event, PenaltyRecord

SCHEMA = 1

Json = dict[str, Any]


def dump(value: Mapping[str, object]) -> str:
    """One object with its schema number first."""
    return json.dumps({"schema": SCHEMA, **value}, ensure_ascii=False, indent=2, default=str)


def gap_object(gap: Gap) -> Json:
    return {"device": gap.device, "table": gap.table, "why": gap.why}


def blind_spot_objects(blind: Iterable[tuple[str, str]]) -> list[Json]:
    """Rules that can judge nobody, and for want of what."""
    return [{"rule": rule, "why": why} for rule, why in blind]


def penalty_object(penalty: Penalty | None) -> Json | None:
    if penalty is None:
        return None
    fields = {name: getattr(penalty, name) for name in type(penalty).__dataclass_fields__}
    return {"kind": penalty.kind, **fields}


def slot_object(slot: Slot) -> Json:
    station = slot.station
    return {
        "device": slot.device,
        "kind": slot.kind,
        "station": {"port": station.port, "vlan": station.vlan, "mac": str(station.mac) if station.mac else None},
        "address": str(slot.address) if slot.address else None,
        "network": str(slot.network) if slot.network else None,
    }


def held_objects(held: Iterable[HeldSlot]) -> list[Json]:
    return [{**slot_object(it.slot), "penalty": penalty_object(it.penalty), "state": it.state} for it in held]


def change_object(change: Change) -> Json:
    return {
        **slot_object(change.slot),
        "before": penalty_object(change.before),
        "after": penalty_object(change.after),
        "why": change.why,
    }


def location_object(location: Location | None) -> Json | None:
    if location is None:
        return None
    return {
        "device": location.device,
        "port": location.station.port,
        "vlan": location.station.vlan,
        "age_s": round(location.age_s, 1),
        "confidence": round(location.confidence, 2),
        "peer": location.peer,
    }


def contested_object(it: Contested) -> Json:
    return {
        "mac": str(it.mac),
        "addresses": [str(address) for address in it.addresses],
        "ports": [{"device": device, "port": port} for device, port in it.ports],
        "why": it.why,
        "certain": it.certain,
        "at_once": it.at_once,
        "suspect": location_object(it.suspect),
    }


def contested_objects(attribution: Attribution, client: Client | None = None) -> list[Json]:
    """By MAC; only those that have to do with the client, if there is one."""
    return [contested_object(it) for it in contested_of(attribution, client)]


def link_object(link: Link) -> Json:
    value, low, high = link.similarity or (None, None, None)
    return {
        "old": str(link.old),
        "new": str(link.new),
        "confidence": link.confidence,
        "because": list(link.because),
        "similarity": None if value is None else {"value": round(value, 3), "low": low, "high": high},
        "since": link.since.isoformat(),
        "at": link.at.isoformat(),
        "followed": list(link.followed),
        "undone": link.undone,
    }


def client_object(client: Client, factor: Factor | None, links: Iterable[Link] = ()) -> Json:
    usage = client.usage
    return {
        "client": client.identity,
        "macs": [str(mac) for mac in client.macs],
        "addresses": [str(address) for address in client.addresses],
        "owner": client.owner,
        "randomised": any(mac.is_local for mac in client.macs),
        "links": [link_object(link) for link in links if link.old in client.macs or link.new in client.macs],
        "location": location_object(client.location),
        "why_not": client.why_no_location or None,
        "sessions": usage.sessions if usage else 0,
        "remotes": usage.remotes if usage else 0,
        "active_share": usage.active_share if usage else None,
        "bytes_in": usage.bytes_in if usage else None,
        "bytes_out": usage.bytes_out if usage else None,
        "factor": round(factor.value, 3) if factor else 0.0,
        "because": factor.because if factor else "no sessions in the translation table",
    }


def top_object(attribution: Attribution, ranked: Iterable[tuple[Client, Factor]], links: Sequence[Link] = ()) -> Json:
    return {
        "at": attribution.at.isoformat(),
        "clients": [client_object(client, factor, links) for client, factor in ranked],
        "gaps": [gap_object(gap) for gap in attribution.gaps],
        "unattributed": [{"what": u.what, "why": u.why, "sessions": u.sessions} for u in attribution.unattributed],
        "contested": contested_objects(attribution),
    }


def locate_object(target: str, client: Client | None, why_not: str | None) -> Json:
    location = client.location if client else None
    return {
        "target": target,
        "macs": [str(mac) for mac in client.macs] if client else [],
        "addresses": [str(address) for address in client.addresses] if client else [],
        "owner": client.owner if client else None,
        "location": location_object(location),
        "path": [
            {"device": s.device, "table": s.table, "entry": s.entry, "age_s": round(s.age_s, 1)}
            for s in (location.path if location else ())
        ],
        "why_not": why_not,
    }


def refusal_object(refusal: Refusal) -> Json:
    return {
        "change": refusal.what,
        "why": refusal.why,
        "safeguard": refusal.safeguard,
        "client": refusal.client,
        "device": refusal.device,
        "lifting": refusal.lifting,
    }


def plan_object(plan: Plan, diffs: Mapping[str, Diff | DeviceError]) -> Json:
    by_device: dict[str, list[tuple[Change, bool]]] = {}
    for change in plan.changes:
        by_device.setdefault(change.slot.device, []).append((change, False))
    for change in plan.observed:
        by_device.setdefault(change.slot.device, []).append((change, True))
    return {
        "devices": [
            {
                "device": name,
                **_diff_fields(diffs.get(name)),
                "changes": [{**change_object(change), "observed": observed} for change, observed in changes],
            }
            for name, changes in sorted(by_device.items())
        ],
        "flushes": [{"device": it.device, "addresses": [str(each) for each in it.addresses]} for it in plan.flushes],
        "refusals": [refusal_object(refusal) for refusal in plan.refusals],
    }


def done_object(plan: Plan, diffs: Mapping[str, Diff | DeviceError], outcomes: Iterable[Outcome]) -> Json:
    """The plan's object and what became of it."""
    return {**plan_object(plan, diffs), "outcomes": [outcome_object(outcome) for outcome in outcomes]}


def _diff_fields(diff: Diff | DeviceError | None) -> Json:
    match diff:
        case Diff(text=text, source=source):
            return {"diff": text, "diff_source": source}
        case DeviceError():
            return {"diff": None, "diff_source": None, "error": diff.why}
        case _:
            return {"diff": None, "diff_source": None}


def outcome_object(outcome: Outcome) -> Json:
    return {
        "device": outcome.change.slot.device,
        "change": change_object(outcome.change),
        "state": outcome.state,
        "diff": outcome.diff.text if outcome.diff else None,
        "diff_source": outcome.diff.source if outcome.diff else None,
        "why": outcome.why,
        "seconds": round(outcome.seconds, 3),
    }


def penalty_record_object(record: "PenaltyRecord") -> Json:
    """`device` and `station` are those of the first slot; `slots` has them all."""
    verdict = record.verdict
    slots = [{**slot_object(held.slot), "state": held.state} for held in record.slots]
    return {
        "id": verdict.id,
        "client": verdict.client,
        "macs": [str(mac) for mac in verdict.macs],
        "follows": verdict.follows,
        "penalty": penalty_object(verdict.penalty),
        "device": slots[0]["device"] if slots else None,
        "station": slots[0]["station"] if slots else None,
        "location": location_object(verdict.location),
        "slots": slots,
        "rule": verdict.rule,
        "because": verdict.because,
        "since": verdict.since.isoformat(),
        "until": verdict.until.isoformat() if verdict.until else None,
        "released_at": record.released_at.isoformat() if record.released_at else None,
        "why_released": record.why_released or None,
        "state": record.state,
    }


def event_object(event: "Event") -> Json:
    return {
        "at": event.at.isoformat(),
        "who": event.who,
        "what": event.what,
        "why": event.why,
        "detail": dict(event.detail),
    }


def poll_object(snapshot: Snapshot, seconds: float) -> Json:
    return {
        "at": snapshot.at.isoformat(),
        "seconds": round(seconds, 3),
        "tables": [
            {"device": r.device, "table": r.table, "rows": r.rows, "seconds": round(r.seconds, 3), "octets": r.octets}
            for r in snapshot.readings
        ],
        "gaps": [gap_object(gap) for gap in snapshot.gaps],
    }


def exemption_object(exemption: Exemption) -> Json:
    return {
        "id": exemption.id,
        "network": str(exemption.network) if exemption.network else None,
        "mac": str(exemption.mac) if exemption.mac else None,
        "user": exemption.user,
        "until": exemption.until.isoformat() if exemption.until else None,
        "why": exemption.why,
    }


def factor_object(factor: Factor) -> Json:
    return {
        "value": round(factor.value, 3),
        "parts": {name: round(part, 3) for name, part in factor.parts.items()},
        "because": factor.because,
        "certainty": round(factor.certainty, 2),
        "sort": factor.sort,
    }


def finding_object(finding: Finding) -> Json:
    return {
        "rule": finding.rule,
        "value": round(finding.value, 3),
        "threshold": finding.threshold,
        "unit": finding.unit,
        "streak": finding.streak,
        "because": finding.because,
    }
