"""What a switch tells over SNMP, from invented tables."""

from io import StringIO
from ipaddress import IPv4Address

from switchguard.lab.mib import Agent, Row, gateway_rows, neighbors_in, serve, switch_rows
from switchguard.lab.plane import FdbRow
from switchguard.lab.topology import LAB

SW2 = LAB.switch("sw2")
CLIENT = FdbRow("02:00:00:00:00:11", 10, "Gi0_1", 3)
STATION = (IPv4Address("10.255.0.1"), "02:0a:0b:0c:0d:0e")
LINKS = {
    name: {
        "address": "02:5a:00:0c:00:01",
        "flags": ["UP"],
        "operstate": "UP",
        "stats64": {"rx": {"bytes": 2**32 + 5}, "tx": {"bytes": 7}},
    }
    for name in ("mgmt0", *(port.name for port in SW2.ports))
}
FDB_PORT = (1, 3, 6, 1, 2, 1, 17, 7, 1, 2, 2, 1, 2)


def told() -> dict[tuple[int, ...], Row]:
    return {row.oid: row for row in switch_rows(SW2, [CLIENT], LINKS, [STATION])}


def test_no_object_is_told_twice() -> None:
    assert len(list(switch_rows(SW2, [CLIENT], LINKS, [STATION]))) == len(told())


def test_walking_visits_every_row_in_the_order_of_the_oids() -> None:
    agent = Agent(lambda: told().values())
    visited: list[tuple[int, ...]] = [(0,)]
    while row := agent.next_after(visited[-1]):
        visited.append(row.oid)
    assert visited[1:] == sorted(told())


def test_who_manages_the_switch_is_in_its_arp_table() -> None:
    assert told()[(1, 3, 6, 1, 2, 1, 4, 22, 1, 2, 1, 10, 255, 0, 1)].value == "02 0a 0b 0c 0d 0e"


def test_an_unresolved_neighbour_is_no_row() -> None:
    assert neighbors_in('[{"dst": "10.255.0.9", "state": ["FAILED"]}]') == []


def test_the_gateway_sees_the_core_switch_on_both_its_ports() -> None:
    names = (1, 0, 8802, 1, 1, 2, 1, 4, 1, 1, 9)
    assert [row.value for row in gateway_rows() if row.oid[:11] == names] == ["core", "core"]


def test_a_learnt_address_is_indexed_by_filtering_database_and_points_to_the_bridge_port() -> None:
    assert told()[(*FDB_PORT, 2, 2, 0, 0, 0, 0, 0x11)].value == "1"


def test_the_switch_itself_is_in_its_table_at_port_0() -> None:
    assert told()[(*FDB_PORT, 2, 2, 0x5A, 0, 0x0C, 0, 0)].value == "0"


def test_old_counters_wrap_at_32_bits_and_new_ones_do_not() -> None:
    index = SW2.ports[0].if_index
    assert told()[(1, 3, 6, 1, 2, 1, 2, 2, 1, 10, index)].value == "5"
    assert told()[(1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6, index)].value == str(2**32 + 5)


def test_a_telephone_says_that_it_is_one() -> None:
    enabled = (1, 0, 8802, 1, 1, 2, 1, 4, 1, 1, 12)
    assert {row.oid[-2]: row.value for oid, row in told().items() if oid[:11] == enabled} == {3: "24 00", 24: "20 00"}


def converse(*lines: str) -> str:
    answers = StringIO()
    serve(Agent(lambda: [Row((1, 3, 1), "integer", "7")]), StringIO("".join(f"{line}\n" for line in lines)), answers)
    return answers.getvalue()


def test_snmpd_asks_whether_the_agent_is_alive() -> None:
    assert converse("PING") == "PONG\n"


def test_an_object_is_three_lines_and_its_absence_is_one() -> None:
    assert converse("get", ".1.3.1", "getnext", ".1.3.1") == ".1.3.1\ninteger\n7\nNONE\n"


def test_nothing_can_be_set() -> None:
    assert converse("set", ".1.3.6.1.2.1.31.1.1.1.18.1", "string x", "PING") == "not-writable\nPONG\n"
