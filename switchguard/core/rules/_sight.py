"""Whom a rule may judge at all: what cannot be seen, or is nobody's, is no evidence against anyone."""

from collections.abc import Iterator

from switchguard.core.attribute import name_of_address
from switchguard.core.model import Attribution, Client, NatUsage


def in_sight(attribution: Attribution) -> Iterator[tuple[Client, NatUsage]]:
    """Clients with usage, except addresses of which nobody knows whose they are.

    A contested address is nobody's. While an ARP table is missing, an address without MAC may belong to a machine that
    is exempt by its MAC, so it waits.
    """
    waits = any(gap.table == "arp" for gap in attribution.gaps)
    nobodys = {item.what for item in attribution.unattributed}
    for client in attribution.clients:
        if client.usage is None:
            continue
        if not client.macs and (waits or name_of_address(client.usage.address) in nobodys):
            continue
        yield client, client.usage
