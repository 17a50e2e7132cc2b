"""What a Linux gateway enforces, and how it gets there: netfilter for everything, tc for limits where it can.

A limit is shaped (`_tc_shaping`) where the site names the LAN interfaces and nothing of somebody else's is in the way,
else policed by netfilter, which is a table of nftables (`_nft_table`) or chains of iptables (`_iptables_chains`); both
read back alike. Which of the two, and why not the better one, is told in the diff. A kernel without ifb, HTB, u32 or
mirred shows only when it is asked to shape: what it took of the commands is taken back, and the limit is policed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from switchguard.core.changes import Change, Diff, Enforced, Slot
from switchguard.core.model import Address
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import CommandRefused
from switchguard.ports import Session

from . import _tc_shaping
from ._tc_shaping import Shaping


class Netfilter(Protocol):
    """A module that keeps penalties in netfilter."""

    def listed(self, session: Session) -> Mapping[Slot, Penalty]:
        """What it enforces; nothing where there is nothing of ours yet."""

    def check(self, session: Session, changes: Sequence[Change]) -> None:
        """Whether the gateway would take these changes; nothing is changed."""

    def apply(self, session: Session, changes: Sequence[Change]) -> None: ...

    def element(self, slot: Slot, penalty: Penalty) -> str:
        """For people: where it sits. DeviceError for what cannot be expressed."""


@dataclass(frozen=True, slots=True)
class _Standing:
    listed: Mapping[Slot, Penalty]
    """By netfilter."""
    shaping: Shaping

    def everything(self, device: str) -> Enforced:
        shaped = {_slot(device, address): limit for address, limit in self.shaping.limits().items()}
        return {**self.listed, **shaped}


@dataclass(frozen=True, slots=True)
class _Due:
    """What is not yet true, split by who does it. `remarks`: why a limit is not shaped."""

    table: tuple[Change, ...] = ()
    going: tuple[Address, ...] = ()
    coming: Mapping[Address, RateLimit] | None = None
    remarks: tuple[str, ...] = ()


def enforced(netfilter: Netfilter, session: Session) -> Enforced:
    """What is ours in netfilter, and our own classes; nothing if there are none."""
    return _standing(netfilter, session).everything(session.device.name)


def preview(netfilter: Netfilter, session: Session, changes: Sequence[Change]) -> Diff:
    """Computed from what stands, and checked on the gateway as far as that goes."""
    stands = _standing_for(netfilter, session, changes)
    due = _due(session.device.name, stands, changes, stands.shaping.obstacle)
    if due.table:
        netfilter.check(session, due.table)
    return _diff(netfilter, due, stands.shaping)


def push(netfilter: Netfilter, session: Session, changes: Sequence[Change]) -> Diff:
    """First the classes, then everything else, and what is policed instead of them if they cannot be."""
    stands = _standing_for(netfilter, session, changes)
    due = _due(session.device.name, stands, changes, stands.shaping.obstacle)
    if due.going or due.coming:
        try:
            _tc_shaping.work(stands.shaping, due.going, due.coming or {}).do(session)
        except CommandRefused as error:
            if not due.coming:
                raise
            _tc_shaping.work(_tc_shaping.read(session), tuple(due.coming), {}).do(session)
            stands = _standing(netfilter, session)
            due = _due(session.device.name, stands, changes, f"the kernel refused: {error.answer.strip()}")
    if due.table:
        netfilter.apply(session, due.table)
    return _diff(netfilter, due, stands.shaping)


def _standing_for(netfilter: Netfilter, session: Session, changes: Sequence[Change]) -> _Standing:
    """What these changes depend on: without a limit among them tc need not be asked, which is time until a block."""
    if any(change.slot.kind == RateLimit.kind for change in changes):
        hooks = any(isinstance(change.after, RateLimit) for change in changes)
        return _standing(netfilter, session, hooks)
    return _Standing(netfilter.listed(session), Shaping(session.device.lan_interfaces))


def _standing(netfilter: Netfilter, session: Session, hooks: bool = False) -> _Standing:
    return _Standing(netfilter.listed(session), _tc_shaping.read(session, hooks))


# --- what is due -----------------------------------------------------------------------------------------------------


def _due(device: str, stands: _Standing, changes: Sequence[Change], obstacle: str) -> _Due:
    shaping = replace(stands.shaping, obstacle=obstacle)
    now, shaped = stands.everything(device), shaping.limits()
    needed = [change for change in changes if now.get(change.slot) != change.after]
    reasons = {change.slot: _why_policed(shaping, change) for change in needed}
    to_shape = {
        change.slot.address: change.after
        for change in needed
        if isinstance(change.after, RateLimit) and change.slot.address is not None and not reasons[change.slot]
    }
    in_table = (
        replace(
            change,
            before=_stood(change, stands.listed.get(change.slot)),
            after=None if _limited(change) in to_shape else change.after,
        )
        for change in needed
    )
    gone = (address for change in needed if (address := _limited(change)) in shaped and address not in to_shape)
    return _Due(
        tuple(change for change in in_table if change.before != change.after),
        tuple(address for address in gone if address is not None),
        to_shape,
        tuple(sorted({f"policed, not shaped: {why}" for why in reasons.values() if why})),
    )


def _stood(change: Change, found: Penalty | None) -> Penalty | None:
    """What has to be taken away. Half a block is made whole where it is."""
    whole = Block("mac" if change.slot.station.mac else "address")
    if not isinstance(found, Block) or found == whole:
        return found
    return None if change.after else whole


def _limited(change: Change) -> Address | None:
    """Whose limit it is, or None for other penalties."""
    return change.slot.address if change.slot.kind == RateLimit.kind else None


def _why_policed(shaping: Shaping, change: Change) -> str:
    if not isinstance(change.after, RateLimit):
        return ""
    if change.slot.network is not None:
        return "a class is for one address, not for a subnet"
    return _tc_shaping.why_not(shaping, change.after)


def _slot(device: str, address: Address) -> Slot:
    return Slot(device, RateLimit.kind, address=address)


# --- for people ------------------------------------------------------------------------------------------------------


def _diff(netfilter: Netfilter, due: _Due, before: Shaping) -> Diff:
    """Elements and classes that go and come; what they need around them is the same on every gateway."""
    shaped = before.limits()
    lines = [
        *(line for change in due.table for line in _signed(netfilter, change)),
        *(f"- tc {_class(address, shaped[address])}" for address in due.going),
    ]
    for address, limit in (due.coming or {}).items():
        lines += [f"- tc {_class(address, shaped[address])}"] if address in shaped else []
        lines.append(f"+ tc {_class(address, limit)}")
    return Diff("".join(f"{line}\n" for line in (*lines, *(f"# {it}" for it in due.remarks))), "computed")


def _class(address: Address, limit: RateLimit) -> str:
    box = "" if limit.within is None else f" within {limit.within}bit"
    return f"{_tc_shaping.DOWN}, {_tc_shaping.UP} htb ceil {limit.bits_per_second}bit{box} {{ {address} }}"


def _signed(netfilter: Netfilter, change: Change) -> Iterator[str]:
    for sign, penalty in (("-", change.before), ("+", change.after)):
        if penalty is not None:
            yield f"{sign} {netfilter.element(change.slot, penalty)}"
