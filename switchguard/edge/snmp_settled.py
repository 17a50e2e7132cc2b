"""Columns that seldom change, kept for as long as the agent says that they have not.

IF-MIB's ifTableLastChange (RFC 2863) stands still while interfaces neither come nor go, LLDP-MIB's
lldpStatsRemTablesLastChangeTime (IEEE 802.1AB) while the neighbours stay: names, MACs and neighbours are then not read
again. What these stamps do not cover is always read: states, speeds, descriptions by the administrator (ifAlias),
counters, and forwarding tables, for which no MIB has such a stamp (dot1dTpLearnedEntryDiscards only counts what did not
fit in).

Stamps are times since the agent started, and many agents show 0 after every start. So they only count while the agent
demonstrably ran on: its uptime has grown by as much as our clock did, and snmpEngineBoots is the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from switchguard.edge.snmp_line import Index
from switchguard.ports import Oid, SnmpValue

Rows = Mapping[Index, SnmpValue]

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
ENGINE_BOOTS = "1.3.6.1.6.3.10.2.1.2.0"
IF_TABLE_LAST_CHANGE = "1.3.6.1.2.1.31.1.5.0"
LLDP_LAST_CHANGE = "1.0.8802.1.1.2.1.2.1.0"
STAMPS = (SYS_UP_TIME, ENGINE_BOOTS, IF_TABLE_LAST_CHANGE, LLDP_LAST_CHANGE)

LONGEST_S = 900.0
"""However still a stamp stands: some agents forget to touch theirs."""
_SLACK_S = 5.0
_DRIFT = 0.01
"""How far an uptime and our clock may disagree: answers are late, and clocks drift."""

_STAMP_OF: Mapping[Oid, tuple[Oid, ...]] = {
    **dict.fromkeys(
        (
            "1.3.6.1.2.1.2.2.1.2",  # ifDescr
            "1.3.6.1.2.1.2.2.1.6",  # ifPhysAddress
            "1.3.6.1.2.1.31.1.1.1.1",  # ifName
            "1.3.6.1.2.1.17.1.4.1.2",  # dot1dBasePortIfIndex
        ),
        (IF_TABLE_LAST_CHANGE,),
    ),
    **dict.fromkeys(
        ("1.0.8802.1.1.2.1.3.7.1.2", "1.0.8802.1.1.2.1.3.7.1.3"),  # lldpLocPortIdSubtype, lldpLocPortId
        (IF_TABLE_LAST_CHANGE, LLDP_LAST_CHANGE),
    ),
    **dict.fromkeys(
        (f"1.0.8802.1.1.2.1.4.1.1.{column}" for column in (4, 5, 9, 12)),  # lldpRemTable
        (LLDP_LAST_CHANGE,),
    ),
}


def is_settled(column: Oid) -> bool:
    """Whether some stamp covers it."""
    return column in _STAMP_OF


@dataclass(frozen=True, slots=True)
class _Kept:
    rows: Rows
    stamps: tuple[SnmpValue, ...]
    at: float


@dataclass(slots=True)
class Settled:
    """One agent's. `note` what a GET of STAMPS said, then `recall` or read and `keep`; times are of `monotonic`."""

    monotonic: Callable[[], float]
    _stamps: Mapping[Oid, SnmpValue | None] = field(default_factory=dict)
    _noted_at: float = 0.0
    _kept: dict[Oid, _Kept] = field(default_factory=dict)

    def note(self, stamps: Mapping[Oid, SnmpValue | None]) -> None:
        now = self.monotonic()
        if not self._ran_on(stamps, now):
            self._kept.clear()
        self._stamps, self._noted_at = stamps, now

    def recall(self, column: Oid) -> Rows | None:
        kept, stamps = self._kept.get(column), self._now(column)
        if kept is None or kept.stamps != stamps or self.monotonic() - kept.at > LONGEST_S:
            return None
        return kept.rows

    def keep(self, column: Oid, rows: Rows) -> None:
        """What was read after the last `note`, so that a change in between shows in the next one."""
        stamps = self._now(column)
        if stamps is not None:
            self._kept[column] = _Kept(rows, stamps, self._noted_at)

    def _now(self, column: Oid) -> tuple[SnmpValue, ...] | None:
        """None without a stamp, or without an uptime to judge it by."""
        told = [self._stamps.get(stamp) for stamp in (SYS_UP_TIME, *_STAMP_OF.get(column, ()))]
        values = tuple(value for value in told[1:] if value is not None)
        return values if told[0] is not None and values and len(values) == len(told) - 1 else None

    def _ran_on(self, stamps: Mapping[Oid, SnmpValue | None], now: float) -> bool:
        before, ticks = self._stamps.get(SYS_UP_TIME), stamps.get(SYS_UP_TIME)
        if not isinstance(before, int) or not isinstance(ticks, int):
            return False
        if stamps.get(ENGINE_BOOTS) != self._stamps.get(ENGINE_BOOTS):
            return False
        passed = now - self._noted_at
        return abs((ticks - before) / 100 - passed) <= _SLACK_S + _DRIFT * passed
