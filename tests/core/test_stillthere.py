"""Ports that are to be penalised: whose they were when that was planned, and whose they are right before the push.

Of MACs that are to be blocked the same is in test_copied_mac.py, of pairs of switches in test_pairs.py.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from plan_builders import NOW, WIDE, client, mac, ours, planned, policy, verdict, world

from switchguard.core.changes import Plan, Slot, Tenants
from switchguard.core.model import ClientId, Contested, FdbEntry, Gap, Location, Reading, Snapshot, Station
from switchguard.core.penalties import Block, Quarantine, RateLimit
from switchguard.core.stillthere import changed_hands, moved, stale_ports

LIMIT = RateLimit(1_000_000)
PORT = Slot("sw1", "limit", Station(port="Gi0/7"))
SEVENS = Tenants("sw1", "Gi0/7", frozenset({mac(7)}), frozenset({mac(7)}), NOW)
GI7 = ("sw1", "Gi0/7")


def limited() -> Plan:
    return planned([verdict(7, LIMIT)], world(client(7), client(8)), by=policy("access"))


def row(number: int, port: str, device: str = "sw1") -> FdbEntry:
    return FdbEntry(device, port, mac(number), 10)


def table(*rows: FdbEntry, of: tuple[str, ...] = ("sw1", "sw2"), gaps: tuple[Gap, ...] = ()) -> Snapshot:
    return Snapshot(NOW, (), fdb=rows, readings=tuple(Reading(it, "fdb", NOW, 9, 0.1) for it in of), gaps=gaps)


def test_a_limit_on_a_port_says_whose_port_it_is() -> None:
    made = limited()
    assert [change.slot for change in made.changes] == [PORT]
    assert made.tenants == (SEVENS,)


def test_a_quarantine_rests_on_its_port_likewise() -> None:
    assert planned([verdict(7, Quarantine(99))], world(client(7)), by=policy("access")).tenants == (SEVENS,)


def test_who_shares_the_port_with_the_client_is_no_newcomer() -> None:
    shared = world(client(7), macs_on_port={GI7: frozenset({mac(7), mac(9)})})
    lenient = policy("access", replace(WIDE, max_macs_per_port=2))
    (found,) = planned([verdict(7, LIMIT)], shared, by=lenient).tenants
    assert changed_hands((found,), table(row(7, "Gi0/7"), row(9, "Gi0/7"))) == {}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (table(row(7, "Gi0/7"), row(8, "Gi0/8")), None),
        (
            table(row(8, "Gi0/7"), row(7, "Gi0/8")),
            f"{mac(7)} is not on sw1 Gi0/7 any more, but on sw1 Gi0/8",
        ),
        (table(row(7, "Gi0/3", "sw2")), f"{mac(7)} is not on sw1 Gi0/7 any more"),
        (table(), f"{mac(7)} is not on sw1 Gi0/7 any more"),
        (table(row(7, "Gi0/7"), row(8, "Gi0/7")), f"sw1 Gi0/7 has somebody else's MAC now: {mac(8)}"),
        (
            table(of=("sw2",), gaps=(Gap("sw1", "fdb", "no answer in 2 s"),)),
            "whether sw1 Gi0/7 is still the same cannot be asked: no answer in 2 s",
        ),
    ],
    ids=["the same", "traded", "on another switch", "gone", "not alone", "not readable"],
)
def test_a_port_is_limited_only_while_it_is_the_clients(seen: Snapshot, why: str | None) -> None:
    made = limited()
    by_port = changed_hands(made.tenants, seen)
    assert by_port == ({} if why is None else {GI7: why})
    assert moved(made.changes, {}, by_port) == ({} if why is None else {made.changes[0]: why})


def test_a_port_that_was_read_just_now_is_not_read_again() -> None:
    made, fresh = limited(), timedelta(seconds=5)
    assert stale_ports(made.tenants, NOW + timedelta(seconds=4), fresh) == ()
    assert stale_ports(made.tenants, NOW + timedelta(seconds=6), fresh) == made.tenants


def test_a_release_and_another_value_hit_nobody_anew() -> None:
    old = [ours(PORT, verdict(7), penalty=RateLimit(64_000))]
    there = {"sw1": {PORT: RateLimit(64_000)}}
    assert planned([], world(client(7)), old, there).tenants == ()
    changed = planned([replace(verdict(7), penalty=LIMIT)], world(client(7)), old, there, by=policy("access"))
    assert (len(changed.changes), changed.tenants) == (1, ())


def test_a_block_by_mac_asks_for_no_port() -> None:
    assert planned([verdict(7, Block())], world(client(7)), by=policy("access")).tenants == ()


# --- the port of a copied MAC ----------------------------------------------------------------------------------------

SUSPECT = Location("sw2", Station("Gi0/3", 10, mac(7)), 4.0, 0.8)
COPIED = Contested(mac(7), (GI7, ("sw2", "Gi0/3")), "on two ports", certain=True, at_once=True, suspect=SUSPECT)


def copiers_port() -> tuple[Tenants, ...]:
    seen = world(client(8), contested={mac(7): COPIED})
    seen = replace(seen, macs_on_port={GI7: frozenset({mac(7)}), ("sw2", "Gi0/3"): frozenset({mac(7)})})
    wanted = replace(verdict(7, Quarantine(99), "copies"), client=ClientId("interface:sw2 Gi0/3"), addresses=())
    return planned([wanted], seen, by=policy("access")).tenants


def test_the_owner_may_draw_a_copied_mac_away_from_the_copiers_port_for_a_moment() -> None:
    assert [(it.port, it.meant) for it in copiers_port()] == [("Gi0/3", frozenset())]
    assert changed_hands(copiers_port(), table(row(7, "Gi0/7"))) == {}


def test_somebody_new_on_the_copiers_port_is_not_punished_for_it() -> None:
    why = f"sw2 Gi0/3 has somebody else's MAC now: {mac(9)}"
    assert changed_hands(copiers_port(), table(row(9, "Gi0/3", "sw2"))) == {("sw2", "Gi0/3"): why}
