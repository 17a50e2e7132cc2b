"""gufo-snmp and pysnmp tell the same, whatever an agent says; and so does what is read ahead, or not read again."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module

import pytest
from pysnmp.proto.api import v2c
from servers import AUTH_KEY, PRIV_KEY, Answers, Numbers, Said, agent, mib, relay

from switchguard.core.model import Device, PortCounters, Role
from switchguard.edge.session_snmp import Limits, SnmpClient
from switchguard.edge.snmp_settled import ENGINE_BOOTS, IF_TABLE_LAST_CHANGE, LONGEST_S, SYS_UP_TIME, Settled
from switchguard.errors import CommandRefused, DeviceError, UnexpectedOutput, Unreachable
from switchguard.ports import Oid, Secret, SnmpAccess, SnmpValue

tables = import_module("switchguard.drivers._snmp_tables").SnmpTables()

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TABLE: Numbers = (1, 3, 6, 1, 4, 1, 99999, 1)
COLUMN = "1.3.6.1.4.1.99999.1"
NO_SUCH_NAME, GEN_ERR, TOO_BIG = 2, 5, 1
IF_NAME, IF_ALIAS = "1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.31.1.1.1.18"
SWITCH = Device("sw1", "arista_eos", Role.ACCESS)


def client(port: int, limits: Limits | None = None, settled: Settled | None = None, slow: bool = False) -> SnmpClient:
    access = SnmpAccess(community=Secret("public"), port=port, timeout_s=0.2, retries=1)
    return SnmpClient("sw1", "127.0.0.1", access, limits, settled, only_pysnmp=slow)


def of_version_3(port: int, slow: bool = False) -> SnmpClient:
    keys = Secret(AUTH_KEY), Secret(PRIV_KEY)
    access = SnmpAccess("3", user="sha256aes", auth_key=keys[0], priv_key=keys[1], auth_protocol="sha256", port=port)
    return SnmpClient("sw1", "127.0.0.1", access, only_pysnmp=slow)


def both(port: int, ask: Callable[[SnmpClient], object], limits: Limits | None = None) -> tuple[object, object]:
    """What each engine leads to: a result, or an error in words."""
    return outcome(client(port, limits), ask), outcome(client(port, limits, slow=True), ask)


def outcome(asking: SnmpClient, ask: Callable[[SnmpClient], object]) -> object:
    try:
        return ask(asking)
    except DeviceError as error:
        return type(error), str(error)


def dotted(oid: Oid) -> Numbers:
    return tuple(map(int, oid.split(".")))


# --- values ----------------------------------------------------------------------------------------------------------

VALUES: tuple[tuple[object, SnmpValue], ...] = (
    (v2c.Integer32(-2147483648), -2147483648),
    (v2c.Counter32(4294967295), 4294967295),
    (v2c.Counter64(2**64 - 1), 2**64 - 1),
    (v2c.Gauge32(0), 0),
    (v2c.TimeTicks(4294967295), 4294967295),
    (v2c.OctetString(b""), b""),
    (v2c.OctetString(b"\xff\x00\x80"), b"\xff\x00\x80"),
    (v2c.Opaque(b"\x9f\x78"), b"\x9f\x78"),
    (v2c.IpAddress("10.0.0.7"), bytes([10, 0, 0, 7])),
    (v2c.IpAddress("0.0.0.0"), bytes(4)),  # noqa: S104 - nothing is bound
    (v2c.IpAddress("1.3.6.1"), bytes([1, 3, 6, 1])),
    (v2c.ObjectIdentifier((0, 0)), "0.0"),
    (v2c.ObjectIdentifier((1, 3, 6, 1)), "1.3.6.1"),
    (v2c.ObjectIdentifier((1, 3, 6, 1, 4, 1, 2**32 - 1)), f"1.3.6.1.4.1.{2**32 - 1}"),
)


@pytest.mark.parametrize(("sent", "meant"), VALUES, ids=[type(sent).__name__ for sent, _ in VALUES])
def test_every_value_is_the_same_in_both(sent: object, meant: SnmpValue) -> None:
    with agent(mib({(*TABLE, 2**32 - 1): sent, (2, 1): 0})) as port:
        assert both(port, lambda it: it.walk(COLUMN)) == ({(2**32 - 1,): meant},) * 2
        oid = f"{COLUMN}.{2**32 - 1}"
        assert both(port, lambda it: it.get([oid])) == ({oid: meant},) * 2


# --- errors ----------------------------------------------------------------------------------------------------------

TROUBLES: Mapping[str, Answers] = {
    "general error": lambda oids, _: Said(status=GEN_ERR, index=1),
    "always too big": lambda oids, _: Said(status=TOO_BIG),
    "nothing by that name": lambda oids, _: Said(status=NO_SUCH_NAME, index=1),
    "no rows and no error": lambda oids, _: Said(),
    "backwards": lambda oids, _: Said((((*TABLE, 2), 1), ((*TABLE, 1), 1))),
    "the same for ever": lambda oids, _: Said((((*TABLE, 1), 1),)),
    "the column itself": lambda oids, _: Said(((TABLE, 1),)),
    "end of the MIB": lambda oids, _: Said(((oids[0], v2c.EndOfMibView()),)),
    "silence": lambda oids, _: None,
    "no SNMP": lambda oids, _: Said(octets=b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_is_the_same_in_both(trouble: str) -> None:
    with agent(TROUBLES[trouble]) as port:
        fast, slow = both(port, lambda it: it.walk(COLUMN))
        assert fast == slow


@pytest.mark.parametrize("trouble", sorted(TROUBLES.keys() - {"backwards", "the same for ever", "end of the MIB"}))
def test_every_trouble_with_single_objects_is_the_same_in_both(trouble: str) -> None:
    """The others are no trouble here: gufo goes by names, and takes answers in another order."""
    with agent(TROUBLES[trouble]) as port:
        fast, slow = both(port, lambda it: it.get([f"{COLUMN}.1", f"{COLUMN}.2"]))
        assert fast == slow


def test_an_error_in_the_middle_of_a_table_is_no_end_of_it() -> None:
    def answers(oids: tuple[Numbers, ...], _: int) -> Said:
        return Said(status=GEN_ERR, index=1) if oids[0] != TABLE else Said((((*TABLE, 1), 1), ((*TABLE, 2), 2)))

    with agent(answers) as port, pytest.raises(CommandRefused, match="genErr"):
        client(port).walk(COLUMN)


def test_a_table_that_grows_too_big_in_the_middle_is_read_in_smaller_pieces() -> None:
    objects: dict[Numbers, object] = {(2, 1): 0, **{(*TABLE, number): number for number in range(1, 40)}}
    known = mib(objects)

    def answers(oids: tuple[Numbers, ...], repetitions: int) -> Said | None:
        late = oids[0] >= (*TABLE, 10)
        return Said(status=TOO_BIG) if late and repetitions > 3 else known(oids, repetitions)

    with agent(answers) as port:
        found = both(port, lambda it: it.walk(COLUMN), Limits(repetitions=10))
        assert found == ({(number,): number for number in range(1, 40)},) * 2


def test_answers_that_get_lost_when_they_are_long_are_asked_for_in_short() -> None:
    objects: dict[Numbers, object] = {(2, 1): 0, **{(*TABLE, number): number for number in range(1, 40)}}
    known = mib(objects)
    asked: list[int] = []

    def answers(oids: tuple[Numbers, ...], repetitions: int) -> Said | None:
        asked.append(repetitions)
        return None if repetitions > 10 else known(oids, repetitions)

    with agent(answers) as port:
        access = SnmpAccess(community=Secret("public"), port=port, timeout_s=0.1, retries=2)
        assert len(SnmpClient("sw1", "127.0.0.1", access, Limits(repetitions=40)).walk(COLUMN)) == 39
    assert asked == [40, 40, 10, 10, 10, 10]


def test_the_answer_to_the_question_before_is_not_taken_for_the_answer() -> None:
    """The first answer of each page is kept back until its question has been asked again."""
    objects: dict[Numbers, object] = {(2, 1): 0, **{(*TABLE, number): number for number in range(1, 30)}}
    with _tardy(mib(objects, most=7)) as port:
        assert client(port).walk(COLUMN) == {(number,): number for number in range(1, 30)}


@contextmanager
def _tardy(answers: Answers) -> Iterator[int]:
    kept: list[bytes] = []

    def later(answer: bytes) -> list[bytes]:
        kept.append(answer)
        return kept[-2:] if len(kept) % 2 == 0 else []

    with agent(answers) as behind, relay(behind, later) as port:
        yield port


def test_a_bridge_of_one_vlan_is_asked_for_by_the_community() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            client(served.getsockname()[1]).walk(COLUMN, vlan=10)
        assert b"\x04\x09public@10" in served.recv(65535)


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass
class Plain:
    """A session that has nothing but SNMP."""

    agent: SnmpClient
    device: Device = SWITCH

    def speaks(self, transport: str) -> bool:
        return transport == "snmp"

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        return self.agent.get(oids)

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        return self.agent.walk(column)


def _switch() -> dict[Numbers, object]:
    """Two ports, a VLAN, stations, ARP for both families, and a neighbour."""
    mac, address = v2c.OctetString(bytes.fromhex("020000000007")), bytes.fromhex("fe80" + "00" * 13 + "07")
    objects: dict[Oid, object] = {SYS_UP_TIME: v2c.TimeTicks(4200), "1.3.6.1.2.1.17.1.1.0": mac}
    for port in (1, 2):
        objects |= {
            f"1.3.6.1.2.1.2.2.1.2.{port}": v2c.OctetString(f"Ethernet{port}"),
            f"1.3.6.1.2.1.2.2.1.6.{port}": v2c.OctetString(bytes.fromhex(f"0a000000000{port}")),
            f"1.3.6.1.2.1.2.2.1.8.{port}": v2c.Integer32(port),
            f"{IF_NAME}.{port}": v2c.OctetString(f"Et{port}"),
            f"1.3.6.1.2.1.31.1.1.1.6.{port}": v2c.Counter64(2**40),
            f"1.3.6.1.2.1.31.1.1.1.10.{port}": v2c.Counter64(2**41),
            f"1.3.6.1.2.1.31.1.1.1.15.{port}": v2c.Gauge32(1000),
            f"{IF_ALIAS}.{port}": v2c.OctetString("Büro"),
            f"1.3.6.1.2.1.17.1.4.1.2.{port}": v2c.Integer32(port),
        }
    for station in range(200):
        index = f"10.2.0.0.0.1.{station}"
        objects |= {f"1.3.6.1.2.1.17.7.1.2.2.1.2.{index}": v2c.Integer32(1 + station % 2)}
        objects |= {f"1.3.6.1.2.1.17.7.1.2.2.1.3.{index}": v2c.Integer32(3)}
    objects |= {
        "1.3.6.1.2.1.17.7.1.4.2.1.3.0.10": v2c.Gauge32(10),
        "1.3.6.1.2.1.4.22.1.2.1.10.0.0.7": mac,
        "1.3.6.1.2.1.4.22.1.4.1.10.0.0.7": v2c.Integer32(3),
        f"1.3.6.1.2.1.4.35.1.4.1.2.16.{'.'.join(map(str, address))}": mac,
        "1.0.8802.1.1.2.1.3.7.1.2.2": v2c.Integer32(5),
        "1.0.8802.1.1.2.1.3.7.1.3.2": v2c.OctetString("Et2"),
        "1.0.8802.1.1.2.1.4.1.1.4.0.2.1": v2c.Integer32(4),
        "1.0.8802.1.1.2.1.4.1.1.5.0.2.1": v2c.OctetString(bytes.fromhex("0e0000000001")),
        "1.0.8802.1.1.2.1.4.1.1.9.0.2.1": v2c.OctetString("core1"),
        "1.0.8802.1.1.2.1.4.1.1.12.0.2.1": v2c.OctetString(b"\x28\0"),
    }
    return {dotted(oid): value for oid, value in objects.items()}


READERS: Mapping[str, Callable[[object], object]] = {
    "arp": tables.arp,
    "fdb": tables.fdb,
    "interfaces": tables.interfaces,
    "links": tables.links,
    "counters": lambda session: tables.counters(session, AT),
}


@pytest.mark.parametrize("table", READERS)
def test_every_table_is_the_same_through_both_and_ahead(table: str) -> None:
    with agent(mib(_switch(), most=30)) as port:
        fast, slow = both(port, lambda it: READERS[table](Plain(it)))
        assert fast == slow
        assert isinstance(fast, tuple)
        assert len(fast) >= 1
        asking = client(port)
        with asking.ahead(tables.columns({table})):
            assert READERS[table](Plain(asking)) == fast


@pytest.mark.parametrize("table", READERS)
@pytest.mark.parametrize("version", ["2c", "3"])
def test_every_table_of_a_real_agent_is_the_same_through_both(table: str, version: str, snmp_port: int) -> None:
    def at_rest(found: object) -> object:
        """Without what moves on from one reading to the next."""
        rows = found if isinstance(found, tuple) else (found,)
        return [(row.port, row.bits) if isinstance(row, PortCounters) else row for row in rows]

    asking = client if version == "2c" else of_version_3
    fast, slow = (outcome(asking(snmp_port, slow=slow), lambda it: READERS[table](Plain(it))) for slow in (False, True))
    assert at_rest(fast) == at_rest(slow)


# --- reading ahead ---------------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """An agent that notes what it is asked for; its objects may be changed."""

    objects: dict[Numbers, object]

    def __post_init__(self) -> None:
        self.walked: list[Oid] = []

    def __call__(self, oids: tuple[Numbers, ...], repetitions: int) -> Said | None:
        if repetitions:
            self.walked.append(".".join(map(str, oids[0])))
        return mib(self.objects)(oids, repetitions)


def _named(*names: str, changed: int = 0, uptime: int = 4200, boots: int = 1) -> dict[Numbers, object]:
    objects: dict[Oid, object] = {f"{IF_NAME}.{port}": v2c.OctetString(name) for port, name in enumerate(names, 1)}
    objects |= {f"{IF_ALIAS}.{port}": v2c.OctetString("") for port in range(1, len(names) + 1)}
    objects |= {SYS_UP_TIME: v2c.TimeTicks(uptime), IF_TABLE_LAST_CHANGE: v2c.TimeTicks(changed)}
    objects |= {ENGINE_BOOTS: v2c.Integer32(boots), "1.3.6.1.6.3.99.0": v2c.Integer32(0)}
    return {dotted(oid): value for oid, value in objects.items()}


GROUPS = ((IF_NAME,), (IF_ALIAS,))


def test_what_was_read_ahead_is_asked_for_once() -> None:
    said = Recorded(_named("Et1"))
    with agent(said) as port:
        asking = client(port)
        with asking.ahead((*GROUPS, (SYS_UP_TIME,))):
            assert asking.walk(IF_NAME) == asking.walk(IF_NAME) == {(1,): b"Et1"}
            assert asking.get([SYS_UP_TIME]) == {SYS_UP_TIME: 4200}
        assert said.walked == [IF_NAME, IF_ALIAS]
        asking.walk(IF_NAME)
        assert said.walked == [IF_NAME, IF_ALIAS, IF_NAME]


def test_an_empty_first_column_spares_the_rest_of_its_group() -> None:
    said = Recorded(_named("Et1"))
    with agent(said) as port:
        asking = client(port)
        with asking.ahead((("1.3.6.1.2.1.4.22.1.2", "1.3.6.1.2.1.4.22.1.4"),)):
            assert asking.walk("1.3.6.1.2.1.4.22.1.4") == {}
    assert said.walked == ["1.3.6.1.2.1.4.22.1.2"]


def test_a_column_that_fails_ahead_fails_when_it_is_walked_and_costs_no_other() -> None:
    known = mib(_named("Et1"))

    def answers(oids: tuple[Numbers, ...], repetitions: int) -> Said | None:
        return Said(status=GEN_ERR, index=1) if oids[0] == dotted(IF_ALIAS) else known(oids, repetitions)

    with agent(answers) as port:
        asking = client(port)
        with asking.ahead(GROUPS):
            assert asking.walk(IF_NAME) == {(1,): b"Et1"}
            with pytest.raises(CommandRefused, match="genErr"):
                asking.walk(IF_ALIAS)


def test_a_silent_agent_is_silent_in_every_column() -> None:
    with agent(lambda oids, _: None) as port:
        asking = client(port)
        with asking.ahead(GROUPS):
            for column in (IF_NAME, IF_ALIAS):
                with pytest.raises(Unreachable):
                    asking.walk(column)


def test_a_name_without_an_address_fails_when_it_is_walked() -> None:
    asking = SnmpClient("sw1", "nowhere", SnmpAccess(community=Secret("public"), retries=0))
    with asking.ahead(GROUPS), pytest.raises(Unreachable, match="no address"):
        asking.walk(IF_NAME)


# --- what does not change --------------------------------------------------------------------------------------------


@dataclass
class Visits:
    """Visits to one agent, as a service makes them: sessions come and go, what is settled stays."""

    port: int
    said: Recorded

    def __post_init__(self) -> None:
        self.now = 1000.0
        self.settled = Settled(lambda: self.now)

    def visit(self, after_s: float, objects: dict[Numbers, object]) -> tuple[Mapping[tuple[int, ...], SnmpValue], bool]:
        """The names, and whether they were read."""
        self.now += after_s
        self.said.objects = objects
        self.said.walked.clear()
        asking = client(self.port, settled=self.settled)
        with asking.ahead(GROUPS):
            names = asking.walk(IF_NAME)
        assert IF_ALIAS in self.said.walked, "no stamp tells of a description that changed"
        return names, IF_NAME in self.said.walked


@contextmanager
def visits() -> Iterator[Visits]:
    said = Recorded({})
    with agent(said) as port:
        yield Visits(port, said)


def test_names_are_not_read_again_while_the_table_stands_still() -> None:
    with visits() as it:
        assert it.visit(0, _named("Et1", uptime=4200)) == ({(1,): b"Et1"}, True)
        assert it.visit(60, _named("Et1", uptime=10200)) == ({(1,): b"Et1"}, False)


def test_a_change_of_the_table_is_read_at_once() -> None:
    with visits() as it:
        it.visit(0, _named("Et1", uptime=4200))
        assert it.visit(60, _named("Et1", "Et2", changed=9000, uptime=10200)) == ({(1,): b"Et1", (2,): b"Et2"}, True)


@pytest.mark.parametrize(
    ("uptime", "boots"),
    [(300, 1), (6000, 1), (10200, 2)],
    ids=["uptime fell", "uptime grew too little", "boots were counted"],
)
def test_a_restart_is_noticed_although_the_stamp_is_the_same(uptime: int, boots: int) -> None:
    """After 60 s the uptime should be 102 s."""
    with visits() as it:
        it.visit(0, _named("Et1", uptime=4200))
        assert it.visit(60, _named("Et9", uptime=uptime, boots=boots)) == ({(1,): b"Et9"}, True)


def test_nothing_is_believed_for_ever() -> None:
    with visits() as it:
        it.visit(0, _named("Et1", uptime=4200))
        late = LONGEST_S + 1
        assert it.visit(late, _named("Et9", uptime=4200 + int(late * 100)))[1]


@pytest.mark.parametrize("missing", [SYS_UP_TIME, IF_TABLE_LAST_CHANGE])
def test_an_agent_without_stamps_is_always_read(missing: Oid) -> None:
    def without(objects: dict[Numbers, object]) -> dict[Numbers, object]:
        return {oid: value for oid, value in objects.items() if oid != dotted(missing)}

    with visits() as it:
        it.visit(0, without(_named("Et1", uptime=4200)))
        assert it.visit(60, without(_named("Et1", uptime=10200)))[1]


def test_a_table_that_failed_is_not_settled() -> None:
    with agent(lambda oids, repetitions: Said((((*dotted(IF_NAME), 2), 1), ((*dotted(IF_NAME), 1), 1)))) as port:
        settled = Settled(lambda: 1000.0)
        for _ in range(2):
            asking = client(port, settled=settled)
            with asking.ahead(((IF_NAME,),)), pytest.raises(UnexpectedOutput, match="goes back"):
                asking.walk(IF_NAME)


# --- version 1 -------------------------------------------------------------------------------------------------------


def of_version_1(port: int, slow: bool) -> SnmpClient:
    access = SnmpAccess("1", Secret("public"), port=port, timeout_s=1.0, retries=1)
    return SnmpClient("sw1", "127.0.0.1", access, only_pysnmp=slow)


@pytest.mark.parametrize("slow", [False, True])
def test_version_1_tells_the_same_as_2c(snmp_port: int, slow: bool) -> None:
    """An agent of net-snmp: a table to its end, scalars, and one that is not there."""
    usual, old = client(snmp_port), of_version_1(snmp_port, slow)
    system, missing = "1.3.6.1.2.1.1.9.1.2", "1.3.6.1.2.1.1.99.0"
    assert old.walk(system) == usual.walk(system) != {}
    assert old.walk(COLUMN) == {}
    asked = ["1.3.6.1.2.1.1.5.0", missing]
    assert old.get(asked) == usual.get(asked)
    assert old.get(asked)[missing] is None


@pytest.mark.parametrize("slow", [False, True])
def test_a_wrong_community_is_silence_in_version_1_as_well(snmp_port: int, slow: bool) -> None:
    access = SnmpAccess("1", Secret("wrong"), port=snmp_port, timeout_s=0.2, retries=0)
    with pytest.raises(Unreachable, match="wrong address or community"):
        SnmpClient("sw1", "127.0.0.1", access, only_pysnmp=slow).walk(COLUMN)
