"""What a pass remembers: the service's next look, a dry run and a second process all see the same."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from switchguard.core.accounting import Books, NatBook
from switchguard.core.attribute import attribute
from switchguard.core.evidence import Connections, Evidence
from switchguard.core.model import (
    ClientId,
    Destination,
    Device,
    Mac,
    NatSize,
    NatUsage,
    Neighbor,
    PortCounters,
    Reading,
    Role,
    Snapshot,
    Table,
)
from switchguard.core.penalties import Notify, PastPenalty, RateLimit
from switchguard.core.policy import IdentityPolicy, Policy, Rule, Sentence, SharedLink
from switchguard.core.rules import blind_spots, connections, everyone, new_device, quota, unusual_traffic
from switchguard.edge.archive import Archive
from switchguard.edge.connection_log import ConnectionLog
from switchguard.edge.endings import Endings
from switchguard.edge.evidence import Memory
from switchguard.edge.history import History, Note, SeriesRow
from switchguard.edge.ledger_tables import Store
from switchguard.edge.registry import Registry

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GATEWAY = Device("gw", "linux", Role.GATEWAY)
ADDRESS, MAC = ip_address("10.10.0.7"), Mac(0x020000000007)
SEVEN = ClientId(f"mac:{MAC}")
DAILY = Rule("daily", quota.KIND, 10**9, 1, Sentence(Notify()), quota.Params())
NETPERF = Rule("netperf", connections.KIND, 500, 1, Sentence(Notify()), connections.Params(log="netperf"))
CROWD = Rule("crowd", connections.KIND, 30, 1, Sentence(Notify()), connections.Params())
EVERYONE = Rule("everyone", everyone.KIND, 0, 1, Sentence(RateLimit(10**6)))
TIERS = Rule("tiers", new_device.KIND, 0, 1, Sentence(Notify()))
SWINGS = Rule("swings", unusual_traffic.KIND, 6, 1, Sentence(Notify()))
LINK = SharedLink("gw", "wan0", 10**8, 10**7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "ledger.db")
    yield opened
    opened.close()


class Told(list[dict[str, object]]):
    def __call__(self, event: str, **facts: object) -> None:
        self.append({"event": event, **facts})


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def memory(store: Store, told: Told) -> Memory:
    return Memory(History(store), Archive(store), told)


def poll(
    minute: float, received: int, sessions: int = 5, entries: int = 100, wan: tuple[int, int] | None = None
) -> Snapshot:
    at = NOON + minute * MINUTE
    tables: tuple[Table, ...] = ("nat", "nat_size", "arp")
    return Snapshot(
        at,
        (GATEWAY,),
        nat=(usage(received, sessions),),
        nat_sizes=(NatSize("gw", entries, 1000),),
        neighbors=(Neighbor("gw", "lan0", ADDRESS, MAC),),
        counters=() if wan is None else (PortCounters("gw", "wan0", at, *wan),),
        readings=tuple(Reading("gw", table, at, 1, 0.1) for table in tables),
    )


def usage(received: int, sessions: int = 5) -> NatUsage:
    return NatUsage("gw", ADDRESS, sessions, 4, 3, 1.0, 0.0, 0.0, 0.0, 0.5, bytes_in=received, bytes_out=0)


def policy(*rules: Rule) -> Policy:
    return Policy(rules=rules, link=LINK)


def look(memory: Memory, snapshot: Snapshot, *rules: Rule, past: Iterable[PastPenalty] = ()) -> Evidence:
    return memory.recall(policy(*rules), snapshot, attribute(snapshot), tuple(past))


def keep(memory: Memory, *snapshots: Snapshot, rules: tuple[Rule, ...] = (DAILY,)) -> None:
    for snapshot in snapshots:
        memory.keep(policy(*rules), snapshot, attribute(snapshot))


def received(evidence: Evidence) -> int:
    return sum(it.octets_in for it in evidence.traffic.get(SEVEN, ()))


def test_a_look_sees_what_this_very_poll_adds_and_writes_nothing(memory: Memory) -> None:
    keep(memory, poll(0, 0), poll(1, 1_000))
    assert [received(look(memory, poll(2, 1_500), DAILY)) for _ in range(2)] == [1_500, 1_500]
    assert received(look(memory, poll(1, 1_000), DAILY)) == 1_000


def test_two_processes_that_keep_the_same_polls_count_them_once(memory: Memory, store: Store, told: Told) -> None:
    other = Memory(History(store), Archive(store), told)
    for snapshot in (poll(0, 0), poll(1, 1_000), poll(2, 5_000)):
        keep(memory, snapshot)
        keep(other, snapshot)
    assert received(look(memory, poll(2, 5_000), DAILY)) == 5_000


def test_counting_goes_on_after_a_restart(memory: Memory, store: Store, told: Told) -> None:
    keep(memory, poll(0, 0), poll(1, 1_000))
    again = Memory(History(store), Archive(store), told)
    assert received(look(again, poll(30, 9_000), DAILY)) == 9_000


def test_usage_counts_again_from_the_release(memory: Memory) -> None:
    keep(memory, *(poll(minute, 100 * minute) for minute in range(60)))
    release = PastPenalty(SEVEN, "daily", NOON, NOON + 20.5 * MINUTE)
    evidence = look(memory, poll(60, 6_000), DAILY, past=[release])
    assert sum(it.octets_in for it in evidence.traffic[SEVEN] if it.start >= release.ended) == 3_900
    assert received(evidence) == 6_000


@pytest.mark.parametrize(("rule", "hours"), [(EVERYONE, 2), (TIERS, 2), (DAILY, 61), (CROWD, 61)])
def test_only_ends_after_which_something_counts_anew_cut_the_sums(
    memory: Memory, store: Store, rule: Rule, hours: int
) -> None:
    """One release a minute, as of a limit for everybody: two hours are two sums, not a hundred and twenty."""
    rules = (rule, DAILY)
    keep(memory, *(poll(minute, 100 * minute) for minute in range(121)), rules=rules)
    releases = [
        PastPenalty(ClientId(f"mac:{Mac(minute)}"), rule.name, NOON, NOON + (minute + 0.5) * MINUTE)
        for minute in range(60)
    ]
    while memory.tidy(policy(*rules), releases, NOON + 123 * MINUTE):
        pass
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM spans WHERE grain = 1").scalar() == hours
    told = look(memory, poll(121, 12_100), *rules, past=releases).traffic[SEVEN]
    assert (len(told) > 60) is (rule == DAILY)
    assert sum(it.octets_in for it in told) == 12_100


def test_ends_that_are_told_are_settled_once(memory: Memory) -> None:
    memory.endings.follow("gw", NOON - MINUTE)
    keep(memory, poll(0, 0))
    memory.endings.tell("gw", NOON + MINUTE / 2, [usage(700)])
    keep(memory, poll(1, 0), poll(2, 0))
    assert received(look(memory, poll(2, 0), DAILY)) == 700


def test_after_a_lost_stream_the_octets_are_a_lower_bound_again() -> None:
    endings = Endings()
    endings.follow("gw", NOON)
    endings.lose("gw")
    endings.tell("gw", NOON, [usage(700)])
    assert endings.since(Books({"gw": NatBook(NOON, NOON)}), poll(1, 0)) == {}


def test_how_a_client_looked_is_kept_for_explain(memory: Memory, store: Store) -> None:
    keep(memory, poll(0, 0), poll(1, 1_000, sessions=700), poll(2, 1_000, sessions=20))
    spans = Archive(store).spans_of(SEVEN, NOON, NOON + 5 * MINUTE)
    assert [(used.sessions, used.octets_in) for _, _, used in spans] == [(700, 1_000), (20, 0)]
    assert Archive(store).clients_named(str(ADDRESS)) == (SEVEN,)


def test_sizes_of_tables_come_with_their_past(memory: Memory) -> None:
    keep(memory, *(poll(minute, 0, entries=100 + minute) for minute in range(5)))
    (table,) = look(memory, poll(5, 0, entries=900)).tables
    assert [it.entries for it in table.sizes] == [100, 101, 102, 103, 104, 900]
    assert (table.limit, table.public_addresses) == (1000, None)


def test_how_many_public_addresses_a_gateway_has_the_site_knows(memory: Memory) -> None:
    snapshot = poll(0, 0)
    said = replace(policy(), public_addresses={"gw": 2, "other": 9})
    (table,) = memory.recall(said, snapshot, attribute(snapshot), ()).tables
    assert table.public_addresses == 2


def test_the_link_is_as_loaded_as_between_its_last_two_readings(memory: Memory) -> None:
    keep(memory, poll(0, 0, wan=(0, 0)))
    for now in (poll(1, 0, wan=(7_500_000, 750_000)), poll(2, 0)):
        link = look(memory, now).link
        assert link is not None
        assert (link.in_bps, link.out_bps) == (1_000_000.0, 100_000.0)
        keep(memory, now)
    old = look(memory, poll(30, 0)).link
    assert old is not None
    assert old.in_bps is None


def test_an_interfaces_hours_are_its_history(memory: Memory) -> None:
    keep(memory, *(poll(minute, 0, wan=(7_500_000 * minute, 0)) for minute in range(130)), rules=(SWINGS,))
    while memory.tidy(policy(SWINGS), (), NOON + 130 * MINUTE):
        pass
    (interface,) = look(memory, poll(130, 0), SWINGS).interfaces
    assert [(it.start, it.in_bps) for it in interface.history] == [
        (NOON, 1_000_000.0),
        (NOON + 60 * MINUTE, 1_000_000.0),
    ]
    assert interface.now is not None
    assert interface.now.in_bps == 1_000_000.0
    assert look(memory, poll(130, 0), DAILY).interfaces == ()


@pytest.mark.parametrize("weeks", [2, 5, 8])
def test_a_rule_that_wants_weeks_of_history_gets_them_and_judges(memory: Memory, weeks: int) -> None:
    """As much as is kept, and no rule waits for more for ever."""
    hours = (NOON - timedelta(days=days) for days in range(63, 0, -1))
    rows = [SeriesRow("rate", "gw", "wan0", at, at + 60 * MINUTE, 10**9, 10**9) for at in hours]
    memory.history.add(Note(NOON, series=rows), {})
    rule = replace(SWINGS, params=unusual_traffic.Params(history=timedelta(weeks=weeks)))
    while memory.tidy(policy(rule), (), NOON):
        pass
    assert blind_spots(look(memory, poll(0, 0), rule), (rule,)) == ()


def test_new_sessions_are_followed_for_whom_a_rule_asks(memory: Memory) -> None:
    keep(memory, poll(0, 0, sessions=10), poll(1, 0, sessions=60), rules=(CROWD,))
    assert look(memory, poll(1, 0, sessions=60), CROWD).connections == {"nat": {ADDRESS: (Connections(NOON, 50),)}}


def test_a_client_with_many_addresses_is_asked_for_by_their_sum(memory: Memory) -> None:
    """15 connections by each of three addresses of one MAC: 45, where 30 are too many; by another's one address, 29."""
    addresses = [ip_address(f"2001:db8::{number}") for number in (1, 2, 3, 9)]
    for address, count in zip(addresses, (15, 15, 15, 29), strict=True):
        memory.history.add(Note(NOON, series=[opened_at(-5, count, str(address), "nat")]), {})
    neighbors = (
        *(Neighbor("gw", "lan0", it, MAC) for it in addresses[:3]),
        Neighbor("gw", "lan0", addresses[3], Mac(9)),
    )
    evidence = look(memory, replace(poll(0, 0), neighbors=neighbors), CROWD)
    assert sorted(evidence.connections["nat"]) == addresses[:3]


def test_a_person_with_many_devices_is_asked_for_by_their_sum(memory: Memory) -> None:
    people = {MAC: "ada", Mac(8): "ada", Mac(9): "bob"}
    sources = dict(zip(people, (ip_address(f"10.10.0.{number}") for number in (7, 8, 9)), strict=True))
    for address in sources.values():
        memory.history.add(Note(NOON, series=[opened_at(-5, 20, str(address), "nat")]), {})
    seen = replace(poll(0, 0), neighbors=tuple(Neighbor("gw", "lan0", it, mac) for mac, it in sources.items()))
    per_person = replace(policy(CROWD), registry=people, identity=IdentityPolicy(per_person=True))
    evidence = memory.recall(per_person, seen, attribute(seen), ())
    assert sorted(evidence.connections["nat"]) == [sources[MAC], sources[Mac(8)]]


def test_a_log_is_read_once_and_its_connections_are_told(store: Store, told: Told, tmp_path: Path) -> None:
    file = tmp_path / "kern.log"
    log = ConnectionLog("netperf", file, "Incoming")
    memory = Memory(History(store), Archive(store), told, [log])
    stamp = (NOON - 5 * MINUTE).isoformat()
    file.write_text(f"{stamp} gw kernel: Incoming SRC=192.0.2.7 \n" * 3 + f"{stamp} Incoming SRC=nobody\n")
    for _ in range(2):
        memory.tidy(policy(NETPERF), (), NOON)
    (found,) = look(memory, poll(0, 0), NETPERF).connections["netperf"].values()
    assert found == (Connections(NOON - 5 * MINUTE, 3),)
    assert [it["event"] for it in told] == ["lines that make no sense"]


def test_a_log_that_is_not_there_is_said_once(store: Store, told: Told, tmp_path: Path) -> None:
    memory = Memory(History(store), Archive(store), told, [ConnectionLog("netperf", tmp_path / "no.log", "x")])
    for _ in range(3):
        memory.tidy(policy(NETPERF), (), NOON)
    assert [(it["event"], it["what"]) for it in told] == [("cannot be read", "log netperf")]
    assert look(memory, poll(0, 0), NETPERF).connections == {"netperf": {}}


def test_a_registry_is_as_the_file_is_now(store: Store, told: Told, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    memory = Memory(History(store), Archive(store), told, registry=Registry(file))
    file.write_text(f"mac,person\n{MAC},ada\n")
    assert look(memory, poll(0, 0)).registry == {MAC: "ada"}
    file.write_text("mac,person\nnonsense,ada\n")
    assert look(memory, poll(0, 0)).registry is None
    assert "people.csv:2" in str(told[0]["why"])


def test_a_mac_is_known_from_its_first_poll(memory: Memory) -> None:
    keep(memory, poll(0, 0), poll(9, 0))
    assert look(memory, poll(10, 0)).first_seen == {MAC: NOON}


def test_destinations_of_all_gateways_are_told_busiest_first(memory: Memory) -> None:
    few, many = (Destination(ip_network(f"198.51.{n}.0/24"), 443, n, None, f"gw{n}") for n in (7, 8))
    assert look(memory, replace(poll(0, 0), destinations=(few, many))).destinations == (many, few)


# --- a clock that is set ---------------------------------------------------------------------------------------------


def test_an_hour_by_a_clock_that_was_set_back_is_no_peak(memory: Memory) -> None:
    """Set back at 13:00 by an hour; at 13:01 by the new time an hour has gone by, not a minute."""
    link = (Rule("swings", unusual_traffic.KIND, 6, 1, Sentence(Notify())),)
    keep(memory, poll(60, 1_000, wan=(1_000, 0)), rules=link)
    memory.count_anew(NOON)
    keep(memory, poll(0.1, 2_000, wan=(2_000, 0)), rules=link)
    keep(memory, poll(1.1, 2_500, wan=(2_500, 0)), rules=link)
    seen = look(memory, poll(61, 9_000, wan=(9_000, 0)), *link)
    assert received(seen) == 6_500  # since 12:01:06, in an hour, and the 1,000 before by the old time not again
    assert [it.now.in_bps for it in seen.interfaces if it.now] == [6_500 * 8 / (59.9 * 60)]


def test_ends_that_were_told_by_the_old_time_are_forgotten() -> None:
    endings = Endings()
    endings.follow("gw", NOON)
    endings.tell("gw", NOON + 59 * MINUTE, [usage(1_000)])
    endings.anew(NOON)
    books = Books({"gw": NatBook(NOON, NOON, {}, True)})
    assert endings.since(books, poll(60, 0)) == {"gw": {}}


# --- old connections -------------------------------------------------------------------------------------------------


def test_a_steady_source_does_not_become_a_burst_when_its_minutes_are_forgotten(store: Store, tmp_path: Path) -> None:
    """60 in ten minutes, 360 an hour, for five hours: no burst of 300, today or in a week."""
    history, archive = History(store), Archive(store)
    rule = replace(
        NETPERF, above=10_000, params=connections.Params("netperf", timedelta(days=7), burst=300, subnets="no")
    )
    for minute in range(300):
        history.add(Note(NOON, series=[opened_at(minute, 6)]), {})
    for days in (0.3, 1, 2, 3, 4):
        now = NOON + timedelta(days=days)
        while history.tidy(now):
            pass
        told = archive.opened("netperf", now - timedelta(days=7), now)
        assert sum(it.count for it in told[ADDRESS]) == 1800
        assert connections.judge(Evidence(attribute(poll(0, 0)), now, connections={"netperf": told}), rule) == ()


def opened_at(minute: float, count: int, source: str = str(ADDRESS), log: str = "netperf") -> SeriesRow:
    start = NOON + minute * MINUTE
    return SeriesRow("opened", log, source, start, start + MINUTE, count)
