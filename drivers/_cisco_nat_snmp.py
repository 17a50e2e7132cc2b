"""How many translations a router of Cisco's holds, over SNMP: three MIBs, of which a router may have any.

* CISCO-NAT-EXT-MIB, cneAddrTranslationNumActive, one row per module that translates;
* NAT-MIB (RFC 4008), natAddrBindNumberOfEntries and natAddrPortBindNumberOfEntries;
* CISCO-IETF-NAT-MIB, the same two under Cisco's own number.

Which of them a release fills is told nowhere, and an agent may have one that it leaves at 0: they are asked in turn,
and the first that counts anything is believed.
"""

from collections.abc import Iterator

from switchguard.ports import Oid, Session

from ._snmp import bad_value, by_port, numbers_of

CNE_ADDR_TRANSLATION_NUM_ACTIVE = "1.3.6.1.4.1.9.9.532.1.1.1.1"
NAT_MIB = ("1.3.6.1.2.1.123.1.5.0", "1.3.6.1.2.1.123.1.7.0")
CISCO_IETF_NAT_MIB = ("1.3.6.1.4.1.9.10.77.1.2.1.0", "1.3.6.1.4.1.9.10.77.1.2.3.0")


def entries(session: Session) -> int | None:
    """None: the agent has none of the three."""
    told: int | None = None
    for count in _counts(session):
        if count:
            return count
        told = count if told is None else told
    return told


def _counts(session: Session) -> Iterator[int | None]:
    modules = by_port(session, CNE_ADDR_TRANSLATION_NUM_ACTIVE, numbers_of)
    yield sum(modules.values()) if modules else None
    yield _bindings(session, NAT_MIB)
    yield _bindings(session, CISCO_IETF_NAT_MIB)


def _bindings(session: Session, scalars: tuple[Oid, Oid]) -> int | None:
    """Of addresses, and of addresses with a port."""
    told = {oid: value for oid, value in session.get(scalars).items() if value is not None}
    for oid, value in told.items():
        if not isinstance(value, int):
            raise bad_value(session, oid, (), value)
    return sum(value for value in told.values() if isinstance(value, int)) if told else None
