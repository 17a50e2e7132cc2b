"""Following a stream: who hears what, and what happens when it is lost. The threads are real."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from switchguard.core.model import NatUsage
from switchguard.core.penalties import Block
from switchguard.core.policy import Rule, Sentence
from switchguard.core.tally import Crossing, Watching
from switchguard.errors import StreamLost
from switchguard.ports import Tick, Ticks
from switchguard.watch import Follower, Sentry

PATIENCE_S = 10.0
RULE = Rule("swarm", "naughty_factor", 0.5, 2, Sentence(Block()))
SWARM = NatUsage(
    "gw1", ip_address("10.0.0.7"), 900, 900, 900, 0.0, 1.0, None, 1.0, 1.0, bytes_out=900_000, bytes_in=90_000
)  # fmt: skip


@dataclass
class Ears:
    """Writes down what it hears; `enough` after so many words."""

    wanted: int
    words: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self._write("begin")

    def hear(self, tick: Tick) -> None:
        self._write(f"{len(tick.rows)} rows")

    def lose(self) -> None:
        self._write("lose")

    def _write(self, word: str) -> None:
        self.words.append(word)
        if len(self.words) == self.wanted:
            self.enough.set()


@dataclass
class Gateway:
    """Streams that end as told: each list is one stream's ticks, after which it is lost; the last one goes on."""

    streams: list[list[Tick]]
    closed: threading.Event = field(default_factory=threading.Event)

    def stream(self, _tick_s: float) -> Ticks:
        ticks = self.streams.pop(0)
        try:
            yield from ticks
            while not self.streams:
                yield Tick()
            raise StreamLost("gw1", "'conntrack -E' has ended")
        finally:
            self.closed.set()


def told(_event: str, **_facts: object) -> None:
    """Nobody listens."""


def test_a_lost_stream_is_said_to_be_lost_and_begun_again() -> None:
    gateway, ears, events = Gateway([[Tick(), Tick((SWARM,))], [Tick()]]), Ears(wanted=4), list[str]()
    follower = Follower("gw1", gateway.stream, 0.0, ears, lambda event, **_facts: events.append(event))
    follower.start()
    assert ears.enough.wait(PATIENCE_S)
    follower.stop()
    follower.join(PATIENCE_S)
    assert ears.words[:4] == ["begin", "1 rows", "lose", "begin"]
    assert events == [
        "following sessions as they begin",
        "stream lost, only polls find anybody here",
        "following sessions as they begin",
    ]


def test_a_follower_says_why_there_are_only_polls() -> None:
    gateway, ears = Gateway([[Tick()], [Tick()]]), Ears(wanted=2)
    follower = Follower("gw1", gateway.stream, 0.0, ears, told)
    assert "not begun yet" in follower.trouble
    follower.start()
    assert ears.enough.wait(PATIENCE_S)
    assert follower.trouble == "gw1: 'conntrack -E' has ended"
    follower.stop()
    follower.join(PATIENCE_S)


def test_a_follower_that_is_stopped_closes_its_stream() -> None:
    gateway, ears = Gateway([[Tick()]]), Ears(wanted=3)
    follower = Follower("gw1", gateway.stream, 0.0, ears, told)
    follower.start()
    assert ears.enough.wait(PATIENCE_S)
    follower.stop()
    follower.join(PATIENCE_S)
    assert gateway.closed.is_set()


def test_a_sentry_calls_when_somebody_crosses() -> None:
    called: list[Sequence[Crossing]] = []
    sentry = Sentry([RULE], Watching(in_a_row=2), called.append, told)
    for _ in range(3):
        sentry.hear(Tick((SWARM,)))
    assert [[crossing.address for crossing in crossings] for crossings in called] == [[SWARM.address]]


def test_a_sentry_whose_stream_was_lost_starts_again_and_asks_for_the_tables() -> None:
    called: list[Sequence[Crossing]] = []
    asked: list[str] = []
    sentry = Sentry([RULE], Watching(in_a_row=2), called.append, asked.append)
    for _ in range(3):
        sentry.hear(Tick((SWARM,)))
        sentry.lose()
        sentry.begin()
    assert (called, asked) == ([], ["the stream was lost"] * 3)


def test_what_was_heard_beside_what_was_missed_counts() -> None:
    called: list[Sequence[Crossing]] = []
    sentry = Sentry([RULE], Watching(in_a_row=2), called.append, told)
    for _ in range(3):
        sentry.hear(Tick((SWARM,), missed="too many at once"))
    assert [[crossing.address for crossing in crossings] for crossings in called] == [[SWARM.address]]


def test_a_flood_asks_for_the_tables_once_per_window() -> None:
    asked: list[str] = []
    sentry = Sentry([RULE], Watching(ticks=8, in_a_row=2), lambda _crossings: None, asked.append)
    for _ in range(24):
        sentry.hear(Tick(missed="too many at once"))
    assert asked == ["too many at once"] * 3


def test_whom_the_windows_find_is_looked_at_before_the_tables() -> None:
    heard: list[str] = []
    sentry = Sentry([RULE], Watching(in_a_row=2), lambda _crossings: heard.append("crossed"), heard.append)
    for missed in ("too many at once", "", "", ""):
        sentry.hear(Tick((SWARM,), missed))
    assert heard == ["crossed", "too many at once"]
