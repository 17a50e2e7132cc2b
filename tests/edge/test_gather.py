"""Gathering over real sessions: what one device or table lacks never costs another one."""

import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_network
from itertools import count
from pathlib import Path
from typing import ClassVar

from servers import Sshd, free_port

from switchguard.core.changes import Diff, Enforced, Facts, Slot
from switchguard.core.model import (
    Destination,
    Device,
    FdbEntry,
    Gap,
    Interface,
    Link,
    Mac,
    NatSize,
    NatUsage,
    Neighbor,
    PortCounters,
    Reading,
    Role,
    Table,
)
from switchguard.core.penalties import Block
from switchguard.edge.gather import gather, own_addresses, own_macs, read_enforced
from switchguard.edge.session import open_session
from switchguard.errors import UnexpectedOutput, UnknownPlugin
from switchguard.ports import Driver, Endpoint, NatTable, Opens, Secret, Session, SnmpAccess

EVERYTHING: frozenset[Table] = frozenset({"nat", "nat_size", "arp", "fdb", "counters", "links", "interfaces"})
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MAC = Mac.parse("02:00:00:00:00:07")
HELD = {Slot("gw1", "block"): Block()}
HERE = Endpoint("local")


def ticking() -> Callable[[], datetime]:
    """A clock that shows a second more whenever somebody looks."""
    seconds = count()
    return lambda: START + timedelta(seconds=next(seconds))


def passing() -> Callable[[], float]:
    """A clock that nobody sets, a second on whenever somebody looks."""
    seconds = count(100)
    return lambda: float(next(seconds))


@dataclass
class Gateway:
    """Sizes and neighbours over SSH, interfaces over SNMP."""

    platform: str = "linux"
    facts: ClassVar[Facts] = Facts({"block": ("mac_device",)})

    def nat_size(self, session: Session) -> NatSize:
        return NatSize(session.device.name, int(session.ask("echo 1500")), None)

    def arp(self, session: Session) -> tuple[Neighbor, ...]:
        address = IPv4Address(session.ask("echo 10.10.0.7").strip())
        return (Neighbor(session.device.name, "lan0", address, MAC),)

    def interfaces(self, session: Session) -> tuple[Interface, ...]:
        names = session.walk("1.3.6.1.2.1.31.1.1.1.1")
        return tuple(Interface(session.device.name, str(name), index) for (index,), name in names.items())

    def counters(self, session: Session, at: datetime) -> tuple[PortCounters, ...]:
        return (PortCounters(session.device.name, "lan0", at, 1, 2),)

    def enforced(self, session: Session) -> Enforced:
        session.ask("true")
        return HELD

    def render(self, changes: object) -> tuple[str, ...]:
        return ()

    def preview(self, session: Session, changes: object) -> Diff:
        return Diff("", "computed")

    def push(self, session: Session, changes: object) -> Diff:
        return Diff("", "computed")


@dataclass
class Switch:
    """Forwarding table over SSH; the other tables go wrong."""

    platform: str = "arista_eos"

    def nat_size(self, session: Session) -> NatSize:
        raise AssertionError("a switch is not asked for translations")

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return (FdbEntry(session.device.name, session.ask("echo Et7").strip(), MAC, 10),)

    def arp(self, session: Session) -> tuple[Neighbor, ...]:
        raise UnexpectedOutput(session.device.name, "10.10.0.7  <incomplete>")

    def interfaces(self, session: Session) -> tuple[Interface, ...]:
        return (Interface(session.device.name, "Et7", int("seven")),)


@dataclass
class SnmpSwitch:
    """Everything over SNMP, and says so beforehand."""

    platform: str = "cisco_ios"

    def columns(self, tables: Collection[Table]) -> tuple[tuple[str, ...], ...]:
        return (("1.3.6.1.2.1.31.1.1.1.1",), ("1.3.6.1.2.1.1.3.0",)) if "interfaces" in tables else ()

    def interfaces(self, session: Session) -> tuple[Interface, ...]:
        names = session.walk("1.3.6.1.2.1.31.1.1.1.1")
        return tuple(Interface(session.device.name, str(name), index) for (index,), name in names.items())

    def links(self, session: Session) -> tuple[Link, ...]:
        return (Link(session.device.name, "Et1", "core"),)


DRIVERS: Mapping[str, Driver] = {"linux": Gateway(), "arista_eos": Switch(), "cisco_ios": SnmpSwitch()}


def driver_of(platform: str) -> Driver:
    if platform not in DRIVERS:
        raise UnknownPlugin("driver", platform, DRIVERS)
    return DRIVERS[platform]


def doors(**endpoints: Endpoint) -> Opens:
    def opens(device: Device) -> AbstractContextManager[Session]:
        return open_session(device, endpoints[device.name])

    return opens


GW = Device("gw1", "linux", Role.GATEWAY)
CORE = Device("core", "arista_eos", Role.CORE)
"""Reached through this machine's own shell, so that any command of the tests works."""


def test_every_table_that_a_driver_can_read_is_read(snmp_port: int) -> None:
    here = Endpoint("local", snmp=SnmpAccess(community=Secret("public"), port=snmp_port))
    snapshot = gather([GW], doors(gw1=here), EVERYTHING, ticking(), driver_of=driver_of, steady=passing())
    assert (snapshot.nat_sizes, snapshot.gaps) == ((NatSize("gw1", 1500, None),), ())
    assert snapshot.neighbors == (Neighbor("gw1", "lan0", IPv4Address("10.10.0.7"), MAC),)
    assert {interface.device for interface in snapshot.interfaces} == {"gw1"}
    assert [reading.table for reading in snapshot.readings] == ["nat_size", "arp", "interfaces", "counters"]


def test_tables_that_are_read_ahead_are_as_old_as_the_reading(snmp_port: int) -> None:
    access = Device("sw1", "cisco_ios", Role.ACCESS)
    here = Endpoint("local", snmp=SnmpAccess(community=Secret("public"), port=snmp_port))
    snapshot = gather([access], doors(sw1=here), EVERYTHING, ticking(), driver_of=driver_of, steady=passing())
    interfaces, links = snapshot.readings
    assert (interfaces.table, interfaces.at, interfaces.seconds) == ("interfaces", START + timedelta(seconds=1), 2.0)
    assert (links.table, links.at, links.seconds) == ("links", START + timedelta(seconds=2), 1.0)
    assert interfaces.rows == len(snapshot.interfaces) > 0


def test_a_clock_that_is_set_during_a_reading_makes_it_no_longer() -> None:
    hours = count()
    leaping = lambda: START + timedelta(hours=next(hours))  # noqa: E731 - a clock, as short as it is
    snapshot = gather([GW], doors(gw1=HERE), {"nat_size"}, leaping, driver_of=driver_of, steady=passing())
    assert [reading.seconds for reading in snapshot.readings] == [1.0]


def test_an_agent_that_does_not_answer_ahead_is_a_gap_of_its_tables_only() -> None:
    access = Device("sw1", "cisco_ios", Role.ACCESS)
    silent = SnmpAccess(community=Secret("public"), port=free_port(socket.SOCK_DGRAM), timeout_s=0.1, retries=0)
    snapshot = gather(
        [access],
        doors(sw1=Endpoint("local", snmp=silent)),
        EVERYTHING,
        ticking(),
        driver_of=driver_of,
        steady=passing(),
    )
    assert [(gap.table, "no answer from" in gap.why) for gap in snapshot.gaps] == [("interfaces", True)]
    assert snapshot.links == (Link("sw1", "Et1", "core"),)


def test_only_the_tables_asked_for_are_read() -> None:
    snapshot = gather([GW], doors(gw1=HERE), {"nat_size"}, ticking(), driver_of=driver_of, steady=passing())
    assert snapshot.readings == (Reading("gw1", "nat_size", START + timedelta(seconds=1), 1, 1.0, octets=5),)
    assert snapshot.neighbors == ()


def test_counters_carry_the_time_of_reading() -> None:
    snapshot = gather([GW], doors(gw1=HERE), {"counters"}, ticking(), driver_of=driver_of, steady=passing())
    assert snapshot.at == START
    assert snapshot.counters == (PortCounters("gw1", "lan0", START + timedelta(seconds=2), 1, 2),)


def test_a_table_that_fails_is_a_gap_and_the_others_stay() -> None:
    snapshot = gather([CORE], doors(core=HERE), EVERYTHING, ticking(), driver_of=driver_of, steady=passing())
    assert snapshot.fdb == (FdbEntry("core", "Et7", MAC, 10),)
    arp, interfaces = snapshot.gaps
    assert arp == Gap("core", "arp", "a line that is no row and no known noise: '10.10.0.7  <incomplete>'")
    assert (interfaces.device, interfaces.table) == ("core", "interfaces")


def test_a_driver_that_stumbles_is_a_gap_that_says_where() -> None:
    snapshot = gather([CORE], doors(core=HERE), {"interfaces"}, ticking(), driver_of=driver_of, steady=passing())
    assert snapshot.gaps[0].why.startswith("the driver failed: ValueError: invalid literal for int()")
    assert "(test_gather.py:" in snapshot.gaps[0].why


def test_ssh_that_is_refused_does_not_lose_the_snmp_tables(gateway: Sshd, snmp_port: int) -> None:
    endpoint = Endpoint(
        "127.0.0.1",
        gateway.port,
        username="nobody",
        password=Secret("guess"),
        known_hosts=gateway.known_hosts,
        snmp=SnmpAccess(community=Secret("public"), port=snmp_port),
    )
    snapshot = gather(
        [GW], doors(gw1=endpoint), {"nat_size", "arp", "interfaces"}, ticking(), driver_of=driver_of, steady=passing()
    )
    assert [(gap.table, "refuses user 'nobody'" in gap.why) for gap in snapshot.gaps] == [
        ("nat_size", True),
        ("arp", True),
    ]
    assert snapshot.interfaces != ()


def test_a_silent_agent_does_not_lose_the_ssh_tables(gateway: Sshd) -> None:
    endpoint = Endpoint(
        "127.0.0.1",
        gateway.port,
        username=Path("~").expanduser().owner(),
        key_file=gateway.key_file,
        known_hosts=gateway.known_hosts,
        snmp=SnmpAccess(community=Secret("public"), port=free_port(socket.SOCK_DGRAM), timeout_s=0.1, retries=0),
    )
    snapshot = gather(
        [GW], doors(gw1=endpoint), {"nat_size", "interfaces"}, ticking(), driver_of=driver_of, steady=passing()
    )
    assert snapshot.nat_sizes == (NatSize("gw1", 1500, None),)
    assert [gap.table for gap in snapshot.gaps] == ["interfaces"]


def test_a_device_that_is_down_does_not_cost_the_others() -> None:
    dead = Endpoint("127.0.0.1", free_port(), username="net", password=Secret("secret"))
    other = Device("gw2", "linux", Role.GATEWAY)
    snapshot = gather(
        [GW, other], doors(gw1=dead, gw2=HERE), {"nat_size"}, ticking(), driver_of=driver_of, steady=passing()
    )
    assert snapshot.nat_sizes == (NatSize("gw2", 1500, None),)
    assert [(gap.device, gap.table) for gap in snapshot.gaps] == [("gw1", "nat_size")]


def test_a_session_that_does_not_open_is_a_gap_of_every_table() -> None:
    snapshot = gather([GW], doors(), {"nat_size", "arp"}, ticking(), driver_of=driver_of, steady=passing())
    assert [(gap.table, "KeyError" in gap.why) for gap in snapshot.gaps] == [("nat_size", True), ("arp", True)]


def test_a_platform_without_a_driver_is_a_gap_with_the_choices() -> None:
    strange = Device("x1", "abacus", Role.ACCESS)
    snapshot = gather([strange], doors(), {"fdb"}, ticking(), driver_of=driver_of, steady=passing())
    assert snapshot.gaps == (Gap("x1", "fdb", "no driver called 'abacus'. There are: arista_eos, cisco_ios, linux"),)


def test_only_gateways_are_asked_for_translations() -> None:
    snapshot = gather([CORE], doors(core=HERE), {"nat", "nat_size"}, ticking(), driver_of=driver_of, steady=passing())
    assert (snapshot.readings, snapshot.gaps) == ((), ())


def test_more_devices_than_workers_are_all_asked_and_stay_in_order() -> None:
    devices = [Device(f"gw{number}", "linux", Role.GATEWAY) for number in range(9)]
    opens = doors(**{device.name: HERE for device in devices})
    snapshot = gather(devices, opens, {"nat_size"}, ticking(), workers=2, driver_of=driver_of)
    assert [size.device for size in snapshot.nat_sizes] == [device.name for device in devices]


def test_no_devices_are_an_empty_snapshot() -> None:
    assert gather([], doors(), EVERYTHING, ticking(), driver_of=driver_of, steady=passing()).readings == ()


def test_each_device_is_told_about_once() -> None:
    told: list[str] = []
    gather([CORE], doors(core=HERE), {"fdb", "arp"}, ticking(), tell=told.append, driver_of=driver_of, steady=passing())
    assert told == [
        "core: 1 tables, 1 rows, 1.0 s; no arp: a line that is no row and no known noise: '10.10.0.7  <incomplete>'"
    ]


def test_a_session_is_closed_even_when_a_driver_stumbles() -> None:
    closed: list[str] = []

    @contextmanager
    def opens(device: Device) -> Iterator[Session]:
        with open_session(device, HERE) as session:
            yield session
        closed.append(device.name)

    gather([CORE], opens, {"interfaces"}, ticking(), driver_of=driver_of, steady=passing())
    assert closed == ["core"]


# --- what is enforced ------------------------------------------------------------------------------------------------


def test_enforced_state_is_read_where_a_driver_enforces() -> None:
    opens = doors(gw1=HERE, core=HERE)
    assert read_enforced([GW, CORE], opens, driver_of=driver_of, steady=passing()) == {"gw1": HELD}


def test_enforced_state_that_cannot_be_read_is_a_gap() -> None:
    dead = Endpoint("127.0.0.1", free_port(), username="net", password=Secret("secret"))
    told: list[str] = []
    found = read_enforced([GW], doors(gw1=dead), tell=told.append, driver_of=driver_of, steady=passing())
    gap = found["gw1"]
    assert isinstance(gap, Gap)
    assert (gap.table, "refuses the connection" in gap.why) == ("enforced", True)
    assert told == [f"gw1: {gap.why}, 1.0 s"]


# --- this host -------------------------------------------------------------------------------------------------------


def test_this_hosts_own_addresses_are_known(gateway: Sshd) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.connect(("192.0.2.1", 9))
        ours = IPv4Address(outside.getsockname()[0])
    assert ours in own_addresses()
    assert not any(address.is_loopback for address in own_addresses())


def test_this_hosts_own_macs_are_known() -> None:
    files = {file.read_text().strip() for file in Path("/sys/class/net").glob("*/address")}
    assert {str(mac) for mac in own_macs()} == files - {"00:00:00:00:00:00"}


def test_a_snapshot_knows_who_took_it() -> None:
    snapshot = gather([], doors(), set(), ticking(), driver_of=driver_of, steady=passing())
    assert (snapshot.own_macs, snapshot.own_addresses) == (own_macs(), own_addresses())


class Telling(Gateway):
    """Tells with its translations where they lead to."""

    def nat_table(self, session: Session) -> NatTable:
        name = session.device.name
        usage = NatUsage(name, IPv4Address("10.10.0.7"), 5, 4, 3, 1.0, 0.0, 0.0, 0.0, 0.5)
        return NatTable(5, (usage,), destinations=(Destination(ip_network("192.0.2.0/24"), 443, 5, None, name),))


def test_destinations_come_with_the_translations_and_are_no_rows_of_them() -> None:
    snapshot = gather([GW], doors(gw1=HERE), {"nat"}, ticking(), driver_of=lambda _platform: Telling())
    assert [(it.device, it.sessions) for it in snapshot.nat] == [("gw1", 5)]
    assert snapshot.destinations == (Destination(ip_network("192.0.2.0/24"), 443, 5, None, "gw1"),)
    assert [(it.table, it.rows) for it in snapshot.readings] == [("nat", 1)]
