"""A translation table that is nearly full, or soon will be: told before the first connection is refused.

The ceiling is what the device says that it holds, and, where the site says how many public addresses it translates to
(`public_addresses` in hosts.yaml), at most what those have ports for. The trend is the median of the slopes between all
pairs of recent sizes (Theil-Sen), so that a single swarm's first minute, or a flush, does not look like the end. Both
only raise an alarm. With `blame_above`, clients on that gateway whose naughty factor is above it get the rule's penalty
while the pressure lasts, and only then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from statistics import median

from switchguard.core.evidence import Evidence, TableHistory
from switchguard.core.explain import duration
from switchguard.core.keys import About, Threshold, key, params_of
from switchguard.core.penalties import Finding, Notify
from switchguard.core.policy import Rule, RuleParams, Sentence
from switchguard.core.rules._findings import about, alarm
from switchguard.core.rules._sight import in_sight
from switchguard.core.rules.naughty_factor import factor

KIND = "nat_pressure"

PORTS = 2 * (65_536 - 1_024)
"""TCP and UDP ports of one address, less the well-known ones that the gateway keeps."""
FEWEST_SIZES = 5
"""Fewer make no trend."""
LONGEST_TREND = timedelta(hours=1)
"""Sizes are told so far back; what came before says nothing of the next minutes."""


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    full_within: timedelta = key("an alarm too if at the present rate the table is full so soon", timedelta(minutes=10))
    trend_over: timedelta = key("the rate is taken from the sizes of this long, an hour at most", timedelta(minutes=10))
    ports_per_address: int = key(
        "translations that one public address has ports for: TCP and UDP, less what the gateway keeps; counts where "
        "the gateway's `public_addresses` says how many it has",
        PORTS,
        at_least=1,
    )
    tell_again: timedelta = key("an alarm that goes on is told again after this long", timedelta(hours=1))
    blame_above: float | None = key(
        "while the table is under pressure, clients with a naughty factor above this get the penalty; "
        "without it, there is only the alarm",
        None,
        at_least=0,
        at_most=1,
    )

    def __post_init__(self) -> None:
        if self.trend_over > LONGEST_TREND:
            raise ValueError(f"trend_over is at most {duration(LONGEST_TREND)}; so far back sizes are remembered")


ABOUT = About(
    "a translation table near its ceiling: an alarm, and penalties only with `blame_above`",
    Params,
    Threshold("above", "share", "how full the table may be, as a share of its ceiling", 0.8),
    sentence=Sentence(Notify()),
)


@dataclass(frozen=True, slots=True)
class Ceiling:
    entries: int
    of: str
    """What is full then."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """`share` of the ceiling is used; `per_minute` entries more; `full_in` at that rate, None if it does not grow."""

    entries: int
    ceiling: Ceiling
    share: float
    per_minute: float | None
    full_in: timedelta | None


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """An alarm for each table under pressure, and those to blame for it if the rule says who that is."""
    params = params_of(rule, Params)
    pressed = [
        (table, found)
        for table in evidence.tables
        if (found := pressure(table, params)) and _is_high(found, rule, params)
    ]
    alarms = [
        alarm(f"gateway:{table.device}", evidence, rule, it.share, _because(it), "share", again=params.tell_again)
        for table, it in pressed
    ]
    return (*alarms, *_blamed({table.device for table, _ in pressed}, evidence, rule, params))


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    if not evidence.tables:
        return ("no gateway tells the size of its translation table",)
    params = params_of(rule, Params)
    return tuple(
        f"{table.device} tells no limit of its translation table, and the site not how many `public_addresses` it has"
        for table in evidence.tables
        if ceiling(table.limit, table.public_addresses, params) is None
    )


def pressure(table: TableHistory, params: Params) -> Pressure | None:
    """None if the table has no size or no known ceiling."""
    most = ceiling(table.limit, table.public_addresses, params)
    if most is None or not table.sizes:
        return None
    entries = table.sizes[-1].entries
    rate = _trend(table, params.trend_over)
    full_in = None if rate is None or rate <= 0 else timedelta(minutes=max(most.entries - entries, 0) / rate)
    return Pressure(entries, most, entries / most.entries, rate, full_in)


def ceiling(limit: int | None, public_addresses: int | None, params: Params) -> Ceiling | None:
    """The lowest that is known of a table; None if none is."""
    known = [Ceiling(limit, "the table's own limit")] if limit else []
    if public_addresses is not None:
        whose = "1 public address" if public_addresses == 1 else f"{public_addresses:,} public addresses"
        known.append(Ceiling(public_addresses * params.ports_per_address, f"the ports of {whose}"))
    return min(known, key=lambda it: it.entries, default=None)


def _trend(table: TableHistory, over: timedelta) -> float | None:
    """Entries per minute."""
    now = table.sizes[-1].at
    recent = [size for size in table.sizes if size.at >= now - over]
    if len(recent) < FEWEST_SIZES:
        return None
    slopes = [
        (later.entries - earlier.entries) / minutes
        for earlier, later in combinations(recent, 2)
        if (minutes := (later.at - earlier.at) / timedelta(minutes=1)) > 0
    ]
    return median(slopes) if slopes else None


def _is_high(found: Pressure, rule: Rule, params: Params) -> bool:
    return found.share > rule.above or (found.full_in is not None and found.full_in <= params.full_within)


def _blamed(devices: set[str], evidence: Evidence, rule: Rule, params: Params) -> Iterator[Finding]:
    least = params.blame_above
    if least is None or not devices:
        return
    for client, usage in in_sight(evidence, rule):
        if usage.device in devices and (rated := factor(usage)).value > least:
            because = f"the table of {usage.device} is nearly full, and {rated.because}"
            yield about(client, evidence, rule, rated.value, because, threshold=least)


def _because(found: Pressure) -> str:
    filled = f"{found.entries:,} of {found.ceiling.entries:,} translations are in use ({found.ceiling.of})"
    if found.per_minute is None or found.full_in is None:
        return filled
    return f"{filled}, {found.per_minute:,.0f} more every minute: full in {duration(found.full_in)}"
