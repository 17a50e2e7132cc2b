"""Sources that open too many connections, too fast or around the clock, alone or as a subnet.

Three ways to be found, in this order:

    burst     more than `burst` connections within `burst_within`: caught between two runs, whatever comes after
    count     more than `above` connections within `window`, by a source that is steady: its connections stretch
              over `steady_for` at least, and it took no break longer than `breaks`. Real humans take breaks
    subnet    the same two tests on all sources of a subnet together, where at least `subnet_sources` took part:
              abusers hop. Of a /64, which is one customer whose addresses change by themselves, two are enough. A
              wider subnet counts only what no narrower one explains, and needs `subnet_sources` narrower ones to
              take part

The sources come from a firewall's log by its name, or from the translation tables (`nat`: these are clients, and no
subnet of them is ever meant). With `subnets: apply` the penalty is put on the subnet as one, so it must be one for
addresses (`{block: address}`, not by MAC); safeguards spare a subnet with anybody exempt in it, with a device of ours,
and one larger than `safeguards.widest_subnet`. What came before the end of the last penalty of this rule, of the source
or of a subnet that it is in, does not count again.

Connections are known by the minute (`nat`: from poll to poll), and when they are older by the hour (`history.minutes`).
Of when they were within it, what is best for the source is assumed: 360 within an hour are 60 within ten minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Literal

from switchguard.core.evidence import NAT, Connections, Evidence
from switchguard.core.explain import duration
from switchguard.core.keys import About, Threshold, key, params_of
from switchguard.core.model import Address, Client, ClientId, Network
from switchguard.core.penalties import Finding, Notify
from switchguard.core.policy import Rule, RuleParams
from switchguard.core.rhythm import busiest, rhythm, rhythm_sentence, united
from switchguard.core.rules._findings import about, first_few
from switchguard.core.rules._sight import clients_of, holds, within
from switchguard.core.subnets import LEVELS, Subnet, subnets

KIND = "connections"

Sources = Mapping[Address, tuple[Connections, ...]]


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    log: str = key("where the connections come from: the name of a log, or `nat` for the translation tables", NAT)
    window: timedelta = key("how far back connections count", timedelta(hours=48))
    burst: int | None = key("more than this many within `burst_within` are too many at once", None, at_least=1)
    burst_within: timedelta = key("the stretch of time for `burst`", timedelta(minutes=10))
    breaks: timedelta = key(
        "who took a longer break than this is left alone; `burst` does not care", timedelta(hours=7)
    )
    steady_for: timedelta = key(
        "who has not been at it for this long is left alone; `burst` does not care", timedelta(hours=21)
    )
    subnets: Literal["no", "suggest", "apply"] = key(
        "what to do about subnets whose sources share the work: nothing, an alarm, or the penalty", "suggest"
    )
    subnet_sources: int = key(
        "how many sources of a subnet must take part; of a /64, which is one customer, always two", 5, at_least=2
    )

    def __post_init__(self) -> None:
        if self.window < self.steady_for:
            raise ValueError("window is shorter than steady_for: nobody could ever be steady")
        if self.window < self.burst_within:
            raise ValueError("window is shorter than burst_within")


ABOUT = About(
    "sources that open more connections than people do",
    Params,
    Threshold("above", "count", "connections within the window", 500),
    for_polls=1,
)


@dataclass(frozen=True, slots=True)
class _Breach:
    value: int
    threshold: float
    because: str


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Sources that break a limit, then subnets of those that neither do nor did."""
    params = params_of(rule, Params)
    sources = _recent(evidence, rule, params)
    clients = tuple(
        (client, _since_release(connections, client.identity, evidence, rule))
        for client, connections in _clients(evidence, rule, sources)
        if not holds(evidence, rule, client)
    )
    found = [
        about(client, evidence, rule, breach.value, breach.because, "connections", threshold=breach.threshold)
        for client, connections in clients
        if (breach := _breach(connections, evidence, rule, params))
    ]
    if params.log == NAT or params.subnets == "no":
        return tuple(found)
    guilty = {finding.client for finding in found}
    others = {
        address: left
        for client, _ in clients
        if client.identity not in guilty
        for address in client.addresses
        if (left := _since_release(sources.get(address, ()), client.identity, evidence, rule))
    }
    return (*found, *_subnets(others, evidence, rule, params))


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    log = params_of(rule, Params).log
    return () if log in evidence.connections else (f"no connections from {log} are known",)


def heeds_ends_since(rule: Rule, now: datetime) -> datetime:
    return now - params_of(rule, Params).window


# --- sources ---------------------------------------------------------------------------------------------------------


def _recent(evidence: Evidence, rule: Rule, params: Params) -> Sources:
    """Who opened connections within the window: in the rule's networks, and in no subnet that has its penalty. Since
    the end of one that it had, where that is later: what the subnet paid for, its sources do not pay for again."""
    earliest = evidence.now - params.window
    ends = tuple(_ends_of_subnets(evidence, rule))
    recent = {
        address: tuple(it for it in connections if it.start >= _since(address, earliest, ends))
        for address, connections in evidence.connections.get(params.log, {}).items()
        if within((address,), rule.networks) and not _in_punished_subnet(address, evidence, rule)
    }
    return {address: connections for address, connections in recent.items() if connections}


def _ends_of_subnets(evidence: Evidence, rule: Rule) -> Iterator[tuple[Network, datetime]]:
    """A subnet that was only suggested has paid for nothing."""
    for past in evidence.past:
        kind, _, name = past.client.partition(":")
        if kind == "network" and past.rule == rule.name and not past.routine:
            yield ip_network(name), past.ended


def _since(address: Address, earliest: datetime, ends: Sequence[tuple[Network, datetime]]) -> datetime:
    return max((earliest, *(ended for network, ended in ends if address in network)))


def _in_punished_subnet(address: Address, evidence: Evidence, rule: Rule) -> bool:
    return any(
        verdict.rule == rule.name
        and verdict.network is not None
        and address in verdict.network
        and not isinstance(verdict.penalty, Notify)
        for verdict in evidence.standing
    )


def _clients(evidence: Evidence, rule: Rule, sources: Sources) -> Iterator[tuple[Client, tuple[Connections, ...]]]:
    """Sources as clients: several addresses of one MAC are one, an address from outside is its own."""
    ours = {address for client in evidence.attribution.clients for address in client.addresses}
    for client in clients_of(evidence, rule):
        if mine := [sources[address] for address in client.addresses if address in sources]:
            yield client, united(mine)
    for address in sorted(sources.keys() - ours, key=lambda it: (it.version, int(it))):
        yield _outsider(address), sources[address]


def _outsider(address: Address) -> Client:
    return Client(ClientId(f"address:{address}"), (), (address,), None, None, "it is not one of our clients")


def _since_release(
    connections: tuple[Connections, ...], client: ClientId, evidence: Evidence, rule: Rule
) -> tuple[Connections, ...]:
    released = evidence.released(rule, client)
    return tuple(it for it in connections if released is None or it.start >= released)


# --- limits ----------------------------------------------------------------------------------------------------------


def _breach(connections: Sequence[Connections], evidence: Evidence, rule: Rule, params: Params) -> _Breach | None:
    if params.burst is not None and (most := busiest(connections, params.burst_within)) > params.burst:
        return _Breach(most, params.burst, f"{most:,} connections within {duration(params.burst_within)}")
    found = rhythm(connections, evidence.now)
    if found is None or found.connections <= rule.above:
        return None
    if found.span < params.steady_for or found.longest_break > params.breaks:
        return None
    return _Breach(found.connections, rule.above, rhythm_sentence(found))


# --- subnets ---------------------------------------------------------------------------------------------------------


def _subnets(sources: Sources, evidence: Evidence, rule: Rule, params: Params) -> Iterator[Finding]:
    """Narrow ones first; what one of them explains is no evidence against a wider one."""
    left = dict(sources)
    for version, prefix in LEVELS:
        for subnet in tuple(subnets(left, version, prefix, params.subnet_sources)):
            client = Client(ClientId(f"network:{subnet.network}"), (), subnet.sources, None, None, "it is a subnet")
            together = united(left[address] for address in subnet.sources)
            breach = _breach(_since_release(together, client.identity, evidence, rule), evidence, rule, params)
            if breach is not None:
                left = {address: it for address, it in left.items() if address not in subnet.sources}
                yield _of_subnet(client, subnet, breach, evidence, rule, params)


def _of_subnet(
    client: Client, subnet: Subnet, breach: _Breach, evidence: Evidence, rule: Rule, params: Params
) -> Finding:
    because = (
        f"{len(subnet.sources)} sources of {subnet.network} together: {breach.because} "
        f"({first_few([str(address) for address in subnet.sources])})"
    )
    finding = about(client, evidence, rule, breach.value, because, "connections", threshold=breach.threshold)
    return replace(finding, network=subnet.network, penalty=Notify() if params.subnets == "suggest" else None)
