"""Everything that is registered to one person as one client: the laptop's cable and its radio, and the telephone.

Rules see the person's sum and find the person once; what follows goes to all of the person's MACs that are here, each
at its own place. What is not registered to anybody stays what it is, and so does a VPN user, whom the gateway knows.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from switchguard.core.evidence import Evidence, Traffic
from switchguard.core.model import Attribution, Client, ClientId, Mac
from switchguard.core.penalties import Verdict
from switchguard.core.usage import merge

Registry = Mapping[Mac, str]


def together(attribution: Attribution, registry: Registry) -> Attribution:
    """Clients that share an owner are one. Where they are is where the busiest of them is."""
    theirs: dict[str, list[Client]] = defaultdict(list)
    alone: list[Client] = []
    for client in attribution.clients:
        person = next((registry[mac] for mac in client.macs if mac in registry), None)
        (alone if person is None else theirs[person]).append(client)
    people = (_one(person, devices) for person, devices in theirs.items())
    return replace(attribution, clients=tuple(sorted((*alone, *people), key=lambda client: client.identity)))


def as_people(evidence: Evidence) -> Evidence:
    """The same evidence, about people. Nothing changes where there is no registry, or it could not be read."""
    registry = evidence.registry
    if not registry:
        return evidence
    traffic: dict[ClientId, tuple[Traffic, ...]] = {}
    theirs: dict[ClientId, list[Traffic]] = defaultdict(list)
    accounts = {ClientId(f"mac:{mac}"): identity(person) for mac, person in registry.items()}
    for client, spans in evidence.traffic.items():
        if client in accounts:
            theirs[accounts[client]].extend(spans)
        else:
            traffic[client] = tuple(spans)
    sums = {person: _summed((*traffic.get(person, ()), *spans)) for person, spans in theirs.items()}
    return replace(evidence, attribution=together(evidence.attribution, registry), traffic={**traffic, **sums})


def widened(standing: Iterable[Verdict], attribution: Attribution, registry: Registry) -> tuple[Verdict, ...]:
    """A person's penalty takes in what the person has brought along since."""
    present: dict[ClientId, set[Mac]] = defaultdict(set)
    for client in attribution.clients:
        for mac in client.macs:
            if mac in registry:
                present[identity(registry[mac])].add(mac)
    return tuple(_with(verdict, present.get(verdict.client, ())) for verdict in standing)


def identity(person: str) -> ClientId:
    return ClientId(f"user:{person}")


def _with(verdict: Verdict, macs: Collection[Mac]) -> Verdict:
    more = set(macs).difference(verdict.macs) if verdict.requested_by is None else set()
    return replace(verdict, macs=tuple(sorted({*verdict.macs, *more}))) if more else verdict


def _one(person: str, devices: Sequence[Client]) -> Client:
    """`devices` has at least one."""
    ordered = sorted(devices, key=lambda client: (-(client.usage.sessions if client.usage else 0), client.identity))
    usages = [client.usage for client in ordered if client.usage is not None]
    location = next((client.location for client in ordered if client.location is not None), None)
    return Client(
        identity(person),
        tuple(sorted({mac for client in devices for mac in client.macs})),
        tuple(dict.fromkeys(address for client in ordered for address in client.addresses)),
        merge(usages) if usages else None,
        location,
        "" if location is not None else ordered[0].why_no_location,
        person,
    )


def _summed(spans: Iterable[Traffic]) -> tuple[Traffic, ...]:
    """Of the same stretch of time, one span: devices are polled together."""
    found: dict[tuple[object, object], Traffic] = {}
    for span in spans:
        same = found.get((span.start, span.end))
        found[span.start, span.end] = span if same is None else _plus(same, span)
    return tuple(sorted(found.values(), key=lambda span: (span.start, span.end)))


def _plus(one: Traffic, other: Traffic) -> Traffic:
    came, went = one.octets_in + other.octets_in, one.octets_out + other.octets_out
    return Traffic(one.start, one.end, came, went, one.estimate or other.estimate)
