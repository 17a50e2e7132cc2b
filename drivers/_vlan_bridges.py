"""Forwarding tables of switches that keep one BRIDGE-MIB for each VLAN (Cisco Catalyst), over SNMP.

`community@10` of v2c and the context `vlan-10` of SNMPv3 lead to the bridge of VLAN 10, with port numbers of its own,
which must be translated in the same VLAN. For SNMPv3 the switch needs, beside its plain group line, `snmp-server group
GROUP v3 priv context vlan- match prefix`. Which VLANs there are is told by vtpVlanTable of CISCO-VTP-MIB;
those that FDDI and token ring have by definition (1002-1005) and suspended ones have no bridge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from switchguard.core.model import Device, FdbEntry
from switchguard.ports import Oid, Session, SnmpValue, WalksVlans

from ._snmp import DOT1D_BASE_PORT_IF_INDEX, Index, named, names_of, no_table, numbers_of, require_length
from ._snmp_tables import DOT1D_TP_FDB, bridge_rows

VTP_VLAN_STATE = "1.3.6.1.4.1.9.9.46.1.3.1.1.2"
VTP_VLAN_TYPE = "1.3.6.1.4.1.9.9.46.1.3.1.1.3"
_OPERATIONAL, _ETHERNET = 1, 1


class VlanSession(Session, WalksVlans, Protocol):
    """A session with such a switch."""


def has_vlans(session: Session) -> TypeGuard[VlanSession]:
    """Whether it is one that can be asked VLAN by VLAN, and the switch says that there are any."""
    return isinstance(session, WalksVlans) and bool(session.walk(VTP_VLAN_STATE))


@dataclass(frozen=True, slots=True)
class _InVlan:
    """What of a session reads tables, as the bridge of one VLAN answers."""

    session: VlanSession
    vlan: int

    @property
    def device(self) -> Device:
        return self.session.device

    def walk(self, column: Oid) -> "dict[Index, SnmpValue]":
        return dict(self.session.walk_vlan(column, self.vlan))


def fdb(session: VlanSession) -> tuple[FdbEntry, ...]:
    """Learned and static stations of every VLAN. A VLAN that does not answer costs the table: half of it is none."""
    vlans = _vlans(session)
    if not vlans:
        raise no_table(session, VTP_VLAN_STATE, "VLANs")
    names = names_of(session)
    return tuple(entry for vlan in vlans for entry in _stations(_InVlan(session, vlan), names))


def _vlans(session: Session) -> list[int]:
    """Index: VTP domain, VLAN."""
    states, types = numbers_of(session, VTP_VLAN_STATE), numbers_of(session, VTP_VLAN_TYPE)
    require_length(session, VTP_VLAN_STATE, (*states, *types), 2)
    return sorted(
        {index[1] for index, state in states.items() if state == _OPERATIONAL and types.get(index) == _ETHERNET}
    )


def _stations(bridge: _InVlan, names: dict[int, str]) -> Iterator[FdbEntry]:
    ports = numbers_of(bridge, DOT1D_BASE_PORT_IF_INDEX)
    require_length(bridge, DOT1D_BASE_PORT_IF_INDEX, ports, 1)
    for _, mac, port, static in bridge_rows(bridge, DOT1D_TP_FDB, 0):
        if (port,) in ports:
            yield FdbEntry(bridge.device.name, named(names, ports[port,]), mac, bridge.vlan, static)
