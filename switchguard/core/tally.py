"""Sessions as they begin -> who is over a rule's threshold now, long before the next poll.

A tick (a quarter of a second, say) brings the sessions that began in it, summed per inside address. The last few ticks
together are a window that slides; who is over the threshold in several windows in a row, and goes on, has crossed it.
The rule is the same as for a translation table, and so is its threshold: a window holds sessions like a table does,
only younger.

What crossed is a reason to look, not yet a verdict: `sighted` puts it beside everything else that is known.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from switchguard.core.evidence import Evidence
from switchguard.core.model import Address, NatUsage, Snapshot
from switchguard.core.penalties import Finding
from switchguard.core.policy import Rule
from switchguard.core.rules import judge_all, naughty_factor
from switchguard.core.usage import merge


@dataclass(frozen=True, slots=True)
class Watching:
    """How closely to look. With these numbers somebody is found at most 0.75 s after crossing: the rest of a tick,
    then two more windows."""

    tick_s: float = 0.25
    ticks: int = 40
    """In a window: ten seconds."""
    in_a_row: int = 3


@dataclass(frozen=True, slots=True)
class Crossing:
    """An address that was over a rule's threshold in so many windows in a row; `usage` is that of the last window."""

    rule: str
    usage: NatUsage
    value: float
    in_a_row: int

    @property
    def address(self) -> Address:
        return self.usage.address


@dataclass(frozen=True, slots=True)
class Tallies:
    """What one gateway's stream has told so far."""

    ticks: tuple[Mapping[Address, NatUsage], ...] = ()
    """The window, oldest first."""
    sessions: Mapping[Address, int] = field(default_factory=dict)
    """Begun within the window."""
    streaks: Mapping[tuple[str, Address], int] = field(default_factory=dict)
    """(rule, address) -> windows over the threshold in a row."""


def watched(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Those that can be judged by beginnings alone; quotas and shares of a link need octets."""
    return tuple(rule for rule in rules if rule.kind == naughty_factor.KIND and rule.above < 1)


def slide(
    tallies: Tallies, begun: Sequence[NatUsage], rules: Iterable[Rule], watching: Watching, missed: bool = False
) -> tuple[Tallies, tuple[Crossing, ...]]:
    """One tick further. Somebody who stays over the threshold crosses it again once per whole window, not in every
    tick: whatever keeps him from being penalised is looked at again, but not four times a second.

    With `missed`, more sessions began than were heard of. Who is over the threshold by those that were heard is over
    it; who is not may be, so that a row of windows neither grows nor ends for him.
    """
    ticks = (*tallies.ticks, {row.address: row for row in begun})[-watching.ticks :]
    left = tallies.ticks[0] if len(tallies.ticks) == watching.ticks else {}
    sessions = Counter(tallies.sessions)
    sessions.update({row.address: row.sessions for row in begun})
    sessions.subtract({address: row.sessions for address, row in left.items()})
    sessions = Counter({address: count for address, count in sessions.items() if count > 0})
    over = tuple(_over(ticks, sessions, watched(rules)))
    longer = {(rule, usage.address): tallies.streaks.get((rule, usage.address), 0) + 1 for rule, usage, _ in over}
    streaks = {**(tallies.streaks if missed else {}), **longer}
    crossed = tuple(
        Crossing(rule, usage, value, streaks[rule, usage.address])
        for rule, usage, value in over
        if (streaks[rule, usage.address] - watching.in_a_row) % watching.ticks == 0
        and streaks[rule, usage.address] >= watching.in_a_row
    )
    return Tallies(ticks, sessions, streaks), crossed


def _over(
    ticks: Sequence[Mapping[Address, NatUsage]], sessions: Mapping[Address, int], rules: Sequence[Rule]
) -> Iterable[tuple[str, NatUsage, float]]:
    """Of those who began more in this very tick: a burst that has ended is over, although the window still has it. Only
    addresses with enough sessions for the lowest threshold are added up at all."""
    enough = min((_least_sessions(rule.above) for rule in rules), default=float("inf"))
    for address in ticks[-1]:
        if sessions[address] < enough:
            continue
        usage = merge([tick[address] for tick in ticks if address in tick])
        value = naughty_factor.factor(usage).value
        yield from ((rule.name, usage, value) for rule in rules if value > rule.above)


def _least_sessions(above: float) -> float:
    """Where `crowd`, which the factor never exceeds, reaches the threshold."""
    return naughty_factor.HALF_CROWD * sqrt(above / (1 - above))


# --- beside everything else that is known ----------------------------------------------------------------------------


def with_windows(snapshot: Snapshot, crossings: Sequence[Crossing]) -> Snapshot:
    """The snapshot as if the translation table held the windows of those who crossed, and of them nothing else."""
    windows = {(it.usage.device, it.address): it.usage for it in crossings}
    others = (row for row in snapshot.nat if (row.device, row.address) not in windows)
    return replace(snapshot, nat=(*others, *windows.values()))


def sighted(evidence: Evidence, rules: Iterable[Rule], crossings: Sequence[Crossing]) -> tuple[Finding, ...]:
    """The crossings as findings about clients, each judged again with all of the client's addresses.

    The windows in a row stand for the polls in a row that the rule asks for. An address that cannot be attributed
    (contested, ours, or waiting for an ARP table) makes no finding, as in a poll.
    """
    crossed = {(it.rule, it.address): it.in_a_row for it in crossings}
    addresses = {it.address for it in crossings}
    attribution = evidence.attribution
    theirs = tuple(client for client in attribution.clients if not addresses.isdisjoint(client.addresses))
    chosen = {rule.name: rule for rule in rules if any(it.rule == rule.name for it in crossings)}
    judged = judge_all(replace(evidence, attribution=replace(attribution, clients=theirs)), chosen.values())
    return tuple(
        replace(
            found,
            streak=chosen[found.rule].for_polls,
            because=f"{found.because}, all begun within seconds, in {max(in_a_row)} windows in a row",
        )
        for found in judged
        if (in_a_row := [crossed[found.rule, it] for it in found.addresses if (found.rule, it) in crossed])
    )
