"""Tables of the Linux kernel and its daemons that do not depend on what forwards: neighbours, interfaces, LLDP.

Neighbours and stations are asked of the kernel where there is a shell, and of SNMP only where there is none (net-snmp
5.9.3 goes on telling the first MAC of an address after the kernel has learnt another one).
"""

import re
from datetime import datetime
from typing import Any

from switchguard.core.model import FdbEntry, Interface, Link, Neighbor, PortCounters
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

from . import _iproute
from ._lines import json_of, rows_of
from ._snmp_tables import SnmpTables

NEIGHBORS = "ip -j neigh show"
FORWARDING = "bridge -j fdb show"
INTERFACES = "ip -j -s link show"
UPTIME = "cat /proc/uptime"
LLDP = "lldpctl -f json0"


class KernelTables(SnmpTables):
    def arp(self, session: Session) -> tuple[Neighbor, ...]:
        return self.cli_arp(session) if session.speaks("cli") else super().arp(session)

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_iproute.neighbors(session, rows_of(session, session.ask(NEIGHBORS))))

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return self.cli_fdb(session) if session.speaks("cli") else super().fdb(session)

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return tuple(_iproute.stations(session, rows_of(session, session.ask(FORWARDING))))

    def cli_interfaces(self, session: Session) -> tuple[Interface, ...]:
        return tuple(_iproute.interfaces(session, self._links(session)))

    def cli_counters(self, session: Session, at: datetime) -> tuple[PortCounters, ...]:
        return tuple(_iproute.counters(session, self._links(session), at, self._uptime_s(session)))

    def cli_links(self, session: Session) -> tuple[Link, ...]:
        return tuple(_iproute.lldp_neighbors(session, json_of(session, session.ask(LLDP))))

    def _links(self, session: Session) -> list[dict[str, Any]]:
        return rows_of(session, session.ask(INTERFACES))

    def _uptime_s(self, session: Session) -> float:
        said = session.ask(UPTIME).strip()
        found = re.fullmatch(r"(\d+\.\d+) \d+\.\d+", said)
        if not found:
            raise UnexpectedOutput(session.device.name, said, "no uptime")
        return float(found[1])
