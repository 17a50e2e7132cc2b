"""Two NX-OS switches that are a vPC pair, from their tables to their configurations.

Their forwarding tables are recordings (fdb/pair_first, fdb/pair_second); 7 is plugged into both, 8 into nx1 alone, 9
into nx2 alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import pytest
from configured_switch import ConfiguredSwitch, static_entries
from model_cisco_nxos import Model
from replay import RECORDINGS

from switchguard import plugins
from switchguard.core.attribute import attribute
from switchguard.core.changes import Enforcer, Outcome, Plan
from switchguard.core.explain import switches
from switchguard.core.model import ClientId, Device, Gap, Mac, Mode, Role, Snapshot
from switchguard.core.penalties import Block, Verdict
from switchguard.core.plan import plan
from switchguard.core.policy import Policy
from switchguard.edge.apply import apply
from switchguard.edge.gather import gather, read_enforced
from switchguard.edge.ledger import SqlLedger
from switchguard.errors import Unreachable
from switchguard.ports import Enforces, Session

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOW_TABLE, SHOW_ARP = "show mac address-table", "show ip arp vrf all"
NX1 = Device("nx1", "cisco_nxos", Role.CORE, Mode.ENFORCE, uplinks=("port-channel1",), mlag_peer="nx2")
NX2 = replace(NX1, name="nx2", mlag_peer="nx1")
DEVICES = {"nx1": NX1, "nx2": NX2}
POLICY = Policy(Mode.ENFORCE)
ARP = """\
IP ARP Table for all contexts
Total number of entries: 3
Address         Age       MAC Address     Interface       Flags
10.10.0.7       00:00:09  0200.0000.0007  Vlan10
10.10.0.8       00:00:09  0200.0000.0008  Vlan10
10.10.0.9       00:00:09  0200.0000.0009  Vlan10
"""


def mac(number: int) -> Mac:
    return Mac(0x020000000000 + number)


def verdict(number: int) -> Verdict:
    who = ClientId(f"mac:{mac(number)}")
    until = AT + timedelta(hours=2)
    return Verdict(
        f"v{number}", who, "swarm", Block(), AT, until, "a swarm", (mac(number),), (ip_address("10.10.0.7"),)
    )


def switch(name: str, recorded: str) -> ConfiguredSwitch:
    """It shows what was recorded, and its own drops instead of whom they hit."""
    text = (RECORDINGS / "cisco_nxos" / "fdb" / recorded / "table.txt").read_text()

    def table(it: ConfiguredSwitch) -> str:
        dropped = {found.dotted() for _, found in static_entries(it)}
        rows = [line for line in text.splitlines() if not any(who in line for who in dropped)]
        return "\n".join([*rows, *(f"*   10     {who}   static   -         F      F    Drop" for who in dropped)])

    made = Model()
    answers = {**made.answers, SHOW_TABLE: table, SHOW_ARP: lambda _: ARP}
    return Named(**{**vars(made), "answers": answers}, name=name)


@dataclass
class Named(ConfiguredSwitch):
    """One of two."""

    name: str = ""

    @property
    def device(self) -> Device:
        return DEVICES[self.name]


@dataclass
class Pair:
    ledger: SqlLedger
    switches: dict[str, ConfiguredSwitch]
    dead: set[str] = field(default_factory=set)
    seconds: Iterator[int] = field(default_factory=count)

    def clock(self) -> datetime:
        return AT + timedelta(seconds=next(self.seconds))

    @contextmanager
    def opens(self, device: Device) -> Iterator[Session]:
        if device.name in self.dead:
            raise Unreachable(device.name, "no answer in 10 s")
        yield self.switches[device.name]

    def look(self, *names: str) -> Snapshot:
        chosen = [it for it in DEVICES.values() if it.name in (names or DEVICES)]
        return gather(chosen, self.opens, {"fdb", "arp"}, self.clock)

    def plan(self, *wanted: Verdict) -> Plan:
        driver = plugins.driver("cisco_nxos")
        assert isinstance(driver, Enforces)
        return plan(
            wanted=wanted,
            attribution=attribute(self.look()),
            held=self.ledger.held(),
            enforced=read_enforced(tuple(DEVICES.values()), self.opens),
            enforcers={name: Enforcer(device, driver.facts) for name, device in DEVICES.items()},
            exemptions=(),
            policy=POLICY,
            paused=None,
            now=self.clock(),
        )

    def apply(self, made: Plan) -> tuple[Outcome, ...]:
        return apply(
            made,
            devices=DEVICES,
            opens=self.opens,
            ledger=self.ledger,
            clock=self.clock,
            look=lambda names: self.look(*names),
        )

    def drops(self) -> dict[str, set[str]]:
        return {name: {str(found) for _, found in static_entries(it)} for name, it in self.switches.items()}

    def states(self) -> dict[str, str]:
        return {held.slot.device: held.state for held in self.ledger.held()}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    ledger = SqlLedger(tmp_path / "ledger.db", clock=lambda: AT)
    yield Pair(ledger, {"nx1": switch("nx1", "pair_first"), "nx2": switch("nx2", "pair_second")})
    ledger.close()


def both(number: int) -> dict[str, set[str]]:
    return {"nx1": {str(mac(number))}, "nx2": {str(mac(number))}}


NOTHING: dict[str, set[str]] = {"nx1": set(), "nx2": set()}
PLACES = {7: ("nx1+nx2", "port-channel10"), 8: ("nx1", "Ethernet1/5"), 9: ("nx2", "Ethernet1/6")}


def test_everybody_has_one_place(pair: Pair) -> None:
    found = attribute(pair.look())
    located = {client.macs[0]: client.location for client in found.clients}
    there = {mac(n): (switches(it), it.station.port) for n in PLACES if (it := located[mac(n)]) is not None}
    assert there == {mac(number): place for number, place in PLACES.items()}
    assert found.contested == {}


@pytest.mark.parametrize("number", PLACES)
def test_a_block_comes_to_both_and_leaves_both(pair: Pair, number: int) -> None:
    outcomes = pair.apply(pair.plan(verdict(number)))
    assert [(it.change.slot.device, it.state) for it in outcomes] == [("nx1", "verified"), ("nx2", "verified")]
    assert pair.drops() == both(number)
    assert pair.plan(verdict(number)).changes == ()
    assert {it.state for it in pair.apply(pair.plan())} == {"verified"}
    assert (pair.drops(), pair.states()) == (NOTHING, {})


@pytest.mark.parametrize("dead", ["nx1", "nx2"])
def test_one_that_was_dead_gets_its_part_when_it_is_back(pair: Pair, dead: str) -> None:
    alive = "nx2" if dead == "nx1" else "nx1"
    pair.dead.add(dead)
    made = pair.plan(verdict(7))
    assert [(it.device, it.safeguard) for it in made.refusals] == [(dead, "gap")]
    pair.apply(made)
    assert (pair.drops(), pair.states()) == ({**both(7), dead: set()}, {alive: "verified"})
    pair.dead.clear()
    pair.apply(pair.plan(verdict(7)))
    assert (pair.drops(), pair.states()) == (both(7), {"nx1": "verified", "nx2": "verified"})


def test_one_that_fails_while_it_is_written_to_is_told_apart_and_tried_again(pair: Pair) -> None:
    made = pair.plan(verdict(8))
    stubborn = pair.switches["nx2"]
    pair.switches["nx2"] = replace(stubborn, extra=("snmp-server contact somebody",))
    outcomes = pair.apply(made)
    assert [(it.change.slot.device, it.state) for it in outcomes] == [("nx1", "verified"), ("nx2", "failed")]
    assert (pair.drops(), pair.states()) == ({**both(8), "nx2": set()}, {"nx1": "verified", "nx2": "failed"})
    pair.switches["nx2"] = stubborn
    again = pair.plan(verdict(8))
    assert [it.slot.device for it in again.changes] == ["nx2"]
    pair.apply(again)
    assert (pair.drops(), set(pair.states().values())) == (both(8), {"verified"})


def test_a_release_that_one_cannot_take_is_kept_in_mind(pair: Pair) -> None:
    pair.apply(pair.plan(verdict(7)))
    pair.dead.add("nx2")
    pair.apply(pair.plan())
    assert (pair.drops(), pair.states()) == ({**both(7), "nx1": set()}, {"nx2": "verified"})
    pair.dead.clear()
    pair.apply(pair.plan())
    assert (pair.drops(), pair.states()) == (NOTHING, {})


def test_whoever_moved_between_the_look_and_the_push_is_blocked_nowhere(pair: Pair) -> None:
    made = pair.plan(verdict(8))
    moved = pair.switches["nx1"].answers[SHOW_TABLE]
    answers = {**pair.switches["nx1"].answers, SHOW_TABLE: lambda it: moved(it).replace("Eth1/5", "Eth1/7")}
    pair.switches["nx1"] = replace(pair.switches["nx1"], answers=answers)
    for _ in range(10):
        pair.clock()
    outcomes = pair.apply(made)
    assert {it.state for it in outcomes} == {"refused"}
    assert pair.drops() == NOTHING


def test_a_dead_switch_is_a_gap(pair: Pair) -> None:
    pair.dead.add("nx2")
    assert Gap("nx2", "fdb", "no answer in 10 s") in pair.look().gaps
