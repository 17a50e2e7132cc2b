"""The forwarding table of a Huawei switch over SNMP: its own hwDynFdbTable together with the standard ones.

HUAWEI-L2MAM-MIB hwDynFdbPort is indexed by MAC, VLAN and the name of a VSI, and its value is an ifIndex, no bridge port
(LibreNMS, includes/discovery/fdb-table/vrp.inc.php). It tells the VLAN where the switch's Q-BRIDGE-MIB is empty.
"""

from switchguard.core.model import FdbEntry, Mac
from switchguard.ports import Oid, Session

from . import _snmp_tables
from ._snmp import DOT1D_BASE_PORT_IF_INDEX, Index, bad_row, named, names_of, numbers_of

HW_DYN_FDB_PORT = "1.3.6.1.4.1.2011.5.25.42.2.1.3.1.4"


def columns() -> tuple[tuple[Oid, ...], ...]:
    """What `fdb` always takes beside the standard tables."""
    return (*_snmp_tables.SnmpTables().columns(["fdb"]), (HW_DYN_FDB_PORT,))


def fdb(session: Session) -> tuple[FdbEntry, ...]:
    """Stations that either tells; the standard tables may be missing where Huawei's has rows."""
    ports = numbers_of(session, HW_DYN_FDB_PORT)
    standard = () if ports and not session.walk(DOT1D_BASE_PORT_IF_INDEX) else _snmp_tables.fdb(session)
    names = names_of(session)
    entries = [
        FdbEntry(session.device.name, named(names, port), mac, vlan)
        for (mac, vlan), port in ((_station(session, index), port) for index, port in ports.items())
        if port
    ]
    told = {(entry.mac, entry.port) for entry in entries}
    return (*entries, *(entry for entry in standard if (entry.mac, entry.port) not in told))


def _station(session: Session, index: Index) -> tuple[Mac, int | None]:
    """MAC and VLAN; None for one of a VSI. The name of the VSI carries its length."""
    if len(index) < 8 or index[7] != len(index) - 8 or max(index[:6]) > 255:
        raise bad_row(session, HW_DYN_FDB_PORT, index)
    return Mac.from_octets(bytes(index[:6])), index[6] if 1 <= index[6] <= 4094 else None
