"""Whom a rule may judge at all: what cannot be seen, or is nobody's, is no evidence against anyone."""

from collections.abc import Iterator

from switchguard.core.attribute import name_of_address
from switchguard.core.evidence import Evidence
from switchguard.core.model import Address, Client, NatUsage, Network
from switchguard.core.policy import Rule


def clients_of(evidence: Evidence, rule: Rule) -> Iterator[Client]:
    """The clients in the rule's networks, except addresses of which nobody knows whose they are.

    A contested address is nobody's. While an ARP table is missing, an address without MAC may belong to a machine that
    is exempt by its MAC, so it waits.
    """
    attribution = evidence.attribution
    waits = any(gap.table == "arp" for gap in attribution.gaps)
    nobodys = {item.what for item in attribution.unattributed}
    for client in attribution.clients:
        if not within(client.addresses, rule.networks):
            continue
        if not client.macs and (waits or not nobodys.isdisjoint(map(name_of_address, client.addresses))):
            continue
        yield client


def in_sight(evidence: Evidence, rule: Rule) -> Iterator[tuple[Client, NatUsage]]:
    """Those of them that have a part in a translation table."""
    return ((client, client.usage) for client in clients_of(evidence, rule) if client.usage is not None)


def within(addresses: tuple[Address, ...], networks: tuple[Network, ...]) -> bool:
    """One of the addresses is in one of the networks; without networks everybody is meant."""
    return not networks or any(address in network for address in addresses for network in networks)


def holds(evidence: Evidence, rule: Rule, client: Client) -> bool:
    """The client is under a penalty of this very rule.

    A rule that looks back does not judge it then: what it did before the penalty must not count again at its end.
    Probation is after that end.
    """
    return any(
        verdict.rule == rule.name
        and not verdict.probation
        and (verdict.client == client.identity or not set(verdict.macs).isdisjoint(client.macs))
        for verdict in evidence.standing
    )
