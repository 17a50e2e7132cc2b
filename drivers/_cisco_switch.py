"""What IOS and NX-OS switches have in common: a forwarding table to be asked for, static drops, candidates."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from switchguard.core.changes import Change, Diff, Enforced
from switchguard.core.model import FdbEntry
from switchguard.core.penalties import Block
from switchguard.ports import Session

from . import _candidate, _static_drop
from ._candidate import Dialect
from ._snmp_tables import SnmpTables
from ._static_drop import TableRow

SHOW_MAC_TABLE = "show mac address-table"


class CiscoSwitch(SnmpTables, ABC):
    @property
    @abstractmethod
    def dialect(self) -> Dialect: ...

    @abstractmethod
    def mac_table(self, device: str, text: str) -> tuple[TableRow, ...]:
        """Every row of the answer. UnexpectedOutput for anything but a whole one."""

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        device = session.device.name
        return tuple(
            FdbEntry(device, port, row.mac, row.vlan, row.static)
            for row in self.mac_table(device, session.ask(SHOW_MAC_TABLE))
            for port in row.ports
        )

    def enforced(self, session: Session) -> Enforced:
        """DeviceError where the forwarding table contradicts a drop that is configured."""
        stands = _candidate.standing(self.dialect, session)
        blocks = [slot for slot in stands if slot.kind == Block.kind]
        if blocks:
            device = session.device.name
            _static_drop.require_in_force(device, blocks, self.mac_table(device, session.ask(SHOW_MAC_TABLE)))
        return stands

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        return _candidate.render(self.dialect, changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _candidate.preview(self.dialect, session, changes)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _candidate.push(self.dialect, session, changes)
