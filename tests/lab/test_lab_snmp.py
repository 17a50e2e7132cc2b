"""What the devices tell over SNMP is what is so."""

import subprocess
from contextlib import suppress

import pytest

from switchguard.errors import LabError
from switchguard.lab.control import Lab
from switchguard.lab.topology import COMMUNITY, LAB, SNMP_AUTH_KEY, SNMP_PRIV_KEY, SNMP_USER

pytestmark = pytest.mark.lab

FDB_PORT = "1.3.6.1.2.1.17.7.1.2.2.1.2"
FDB_STATUS = "1.3.6.1.2.1.17.7.1.2.2.1.3"
FDB_OF_VLAN = "1.3.6.1.2.1.17.7.1.4.2.1.3"
PORT_IF_INDEX = "1.3.6.1.2.1.17.1.4.1.2"
IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
IF_HC_IN = "1.3.6.1.2.1.31.1.1.1.6"
ARP_OLD = "1.3.6.1.2.1.4.22.1.2"
ARP_NEW = "1.3.6.1.2.1.4.35.1.4"
LLDP_NAME = "1.0.8802.1.1.2.1.4.1.1.9"
LLDP_ENABLED = "1.0.8802.1.1.2.1.4.1.1.12"

V2C = ("-v2c", "-c", COMMUNITY)
V3 = ("-v3", "-l", "authPriv", "-u", SNMP_USER, "-a", "SHA", "-A", SNMP_AUTH_KEY, "-x", "AES", "-X", SNMP_PRIV_KEY)
SWITCHES = [switch.name for switch in LAB.switches]


def walk(device: str, column: str, access: tuple[str, ...] = V2C) -> dict[str, str]:
    """Index -> value of one column."""
    command = ["snmpbulkwalk", *access, "-m", "", "-OQn", str(LAB.managed[device]), f".{column}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = (line.partition(" = ") for line in done.stdout.splitlines())
    return {oid.removeprefix(f".{column}."): value.strip('" ') for oid, _, value in rows}


def fdb(switch: str) -> set[tuple[str, int, str]]:
    """(MAC, VLAN, ifName) of everything learnt, joined as a manager has to."""
    status, if_index, names = walk(switch, FDB_STATUS), walk(switch, PORT_IF_INDEX), walk(switch, IF_NAME)
    vlans = {fdb_id: index.split(".")[1] for index, fdb_id in walk(switch, FDB_OF_VLAN).items()}
    found = set()
    for index, port in walk(switch, FDB_PORT).items():
        if status.get(index) == "3":  # it may be gone since
            fdb_id, *octets = index.split(".")
            mac = ":".join(f"{int(octet):02x}" for octet in octets)
            found.add((mac, int(vlans[fdb_id]), names[if_index[port]]))
    return found


def eventually(lab: Lab, expected: set[tuple[str, int, str]], switch: str) -> None:
    """All of this is in the table soon: an agent answers from memory for a moment."""
    with suppress(LabError):
        lab.wait_for(lambda: expected <= fdb(switch), "the rows")
    assert expected - fdb(switch) == set()


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_forwarding_table_is_that_of_the_plane(lab: Lab, switch: str) -> None:
    with lab.plane(switch) as plane:
        short = {port.name: port.short for port in plane.ports()}
        learnt = {(row.mac, row.vlan, short[row.port]) for row in plane.fdb()}
    assert len(learnt) > 10
    eventually(lab, learnt, switch)


def test_the_core_has_every_client_behind_the_right_trunk(lab: Lab) -> None:
    expected = {(c.own_mac, c.vlan, "Ethernet3" if c.name <= "c10" else "Ethernet4") for c in lab.clients()}
    eventually(lab, expected, "core")


def test_an_access_switch_has_its_clients_on_their_ports(lab: Lab) -> None:
    expected = {(c.own_mac, c.vlan, f"Gi0/{n}") for n, c in enumerate(lab.clients()[10:], start=1)}
    eventually(lab, expected, "sw2")


@pytest.mark.parametrize("column", [ARP_OLD, ARP_NEW])
def test_the_gateway_knows_every_client(lab: Lab, column: str) -> None:
    macs = {":".join(f"{int(octet, 16):02x}" for octet in value.split()) for value in _hex(walk("gw", column))}
    assert {client.own_mac for client in lab.clients()} <= macs


def test_a_new_mac_is_in_the_tables_at_once(lab: Lab) -> None:
    client = lab.client("c09")
    client.change_mac("02:00:00:00:99:09")
    client.ping(client.gateway)
    lab.wait_for(lambda: ("02:00:00:00:99:09", 10, "Gi0/9") in fdb("sw1"), "the new MAC on its port")


def test_counters_follow_the_traffic(lab: Lab) -> None:
    port = str(lab.topology.access_of("c05")[1].if_index)
    before = int(walk("sw1", IF_HC_IN)[port])
    lab.client("c05").ping("198.18.0.1", count=20, interval_s=0.0)
    lab.wait_for(lambda: int(walk("sw1", IF_HC_IN)[port]) >= before + 20 * 40, "octets on the port")


def test_neighbours_are_told_over_lldp(lab: Lab) -> None:
    assert sorted(walk("core", LLDP_NAME).values()) == ["gw", "gw", "sw1", "sw2"]
    assert sorted(walk("core", LLDP_ENABLED).values()) == ["08 00", "08 00", "20 00", "20 00"]


@pytest.mark.parametrize("device", LAB.managed)
def test_version_3_with_authentication_and_privacy(lab: Lab, device: str) -> None:
    assert walk(device, IF_NAME, V3) == walk(device, IF_NAME)


def test_a_wrong_community_gets_no_answer(lab: Lab) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        walk("core", IF_NAME, ("-v2c", "-c", "public", "-t", "0.2", "-r", "0"))


def _hex(column: dict[str, str]) -> list[str]:
    return [value for value in column.values() if len(value.split()) == 6]
