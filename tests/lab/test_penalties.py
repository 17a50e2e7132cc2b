"""Penalties on the wire: what was asked for is what a client gets, its neighbour gets all of it, and it can be undone.

Rates are measured with iperf3 from inside the clients. What it counts is TCP's payload, 1448 of 1514 octets of a frame.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import cast

import pytest
from desk import INTERNET_HOST, session_with

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Penalty, Quarantine, RateLimit, RestrictPorts, SessionCap
from switchguard.lab.control import Lab
from switchguard.lab.measure import MBIT, OFFERED, iperf_servers, rates, try_sessions, udp_sessions
from switchguard.ports import Enforces, Session

pytestmark = pytest.mark.lab

GATEWAY = cast(Enforces, plugins.driver("linux"))
MEMBER, OTHER, NEIGHBOUR = "c01", "c02", "c11"
"""The first two are in different VLANs, so that the box has to span the gateway's interfaces."""
MANY = 150
"""Of 300 datagrams sent at once: a switch may lose some of the first ones."""


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Session]:
    with session_with("gw") as session:
        yield session


@pytest.fixture
def servers(lab: Lab) -> Iterator[None]:
    with iperf_servers(lab, [MEMBER, OTHER, NEIGHBOUR]):
        yield


def penalty(lab: Lab, client: str, penalty: Penalty) -> Change:
    return Change(Slot("gw", penalty.kind, address=ip_address(lab.client(client).address)), None, penalty)


WAYS = pytest.mark.parametrize("download", [True, False], ids=["download", "upload"])


@WAYS
@pytest.mark.usefixtures("servers")
def test_a_limit_is_kept_within_a_tenth_and_the_neighbour_has_all(lab: Lab, gateway: Session, download: bool) -> None:
    GATEWAY.push(gateway, [penalty(lab, MEMBER, RateLimit(4 * MBIT))])
    got = rates(lab, [MEMBER, NEIGHBOUR], download)
    assert got[MEMBER] == pytest.approx(4 * MBIT, rel=0.1)
    assert got[NEIGHBOUR] >= 0.9 * OFFERED


@WAYS
@pytest.mark.usefixtures("servers")
def test_two_members_share_the_box(lab: Lab, gateway: Session, download: bool) -> None:
    """Slices of 4 Mbit/s in a box of 5: together they have the box, and each alone its slice at most."""
    boxed = RateLimit(4 * MBIT, within=5 * MBIT)
    GATEWAY.push(gateway, [penalty(lab, MEMBER, boxed), penalty(lab, OTHER, boxed)])
    got = rates(lab, [MEMBER, OTHER, NEIGHBOUR], download)
    assert got[MEMBER] + got[OTHER] == pytest.approx(5 * MBIT, rel=0.1)
    assert max(got[MEMBER], got[OTHER]) <= 4 * MBIT
    assert got[NEIGHBOUR] >= 0.9 * OFFERED
    assert rates(lab, [MEMBER], download)[MEMBER] == pytest.approx(4 * MBIT, rel=0.1)


@pytest.mark.usefixtures("servers")
def test_a_limit_that_cannot_be_shaped_is_policed(lab: Lab, gateway: Session) -> None:
    odd = RateLimit(4 * MBIT + 8)
    diff = GATEWAY.push(gateway, [penalty(lab, MEMBER, odd)])
    assert "# policed, not shaped: tc would not tell 4000008 bit/s exactly" in diff.text.splitlines()
    assert rates(lab, [MEMBER], download=True)[MEMBER] == pytest.approx(4 * MBIT, rel=0.1)


def test_when_the_last_limit_ends_nothing_of_ours_is_left(lab: Lab, gateway: Session) -> None:
    def everything() -> str:
        return gateway.ask("ip -br link show | cut -d' ' -f1") + gateway.ask("tc qdisc show | cut -d' ' -f1-5")

    before, change = everything(), penalty(lab, MEMBER, RateLimit(4 * MBIT))
    GATEWAY.push(gateway, [change])
    assert "sgdown" in everything()
    GATEWAY.push(gateway, [change.inverse()])
    assert everything() == before


def test_somebody_elses_filters_are_left_alone(lab: Lab, gateway: Session) -> None:
    foreign = "tc qdisc add dev lan10 clsact && tc filter add dev lan10 egress pref 7 u32 match u32 0 0 flowid 1:1"
    gateway.ask(foreign)
    diff = GATEWAY.push(gateway, [penalty(lab, MEMBER, RateLimit(4 * MBIT))])
    assert "# policed, not shaped: lan10 has egress filters of somebody else" in diff.text.splitlines()
    assert "pref 7" in gateway.ask("tc filter show dev lan10 egress")


def test_a_cap_is_exact(lab: Lab, gateway: Session) -> None:
    GATEWAY.push(gateway, [penalty(lab, MEMBER, SessionCap(50))])
    try_sessions(lab, MEMBER, 20_000)
    try_sessions(lab, NEIGHBOUR, 20_000)
    lab.wait_for(lambda: lab.sessions(NEIGHBOUR) >= MANY, "the neighbour's sessions")
    assert udp_sessions(lab, MEMBER, 20_000) == 50


def test_a_cap_for_everyone_is_exact_for_each_and_spares_who_stays_within_it(lab: Lab, gateway: Session) -> None:
    cap = Change(Slot("gw", SessionCap.kind), None, SessionCap(50))
    GATEWAY.push(gateway, [cap])
    assert GATEWAY.enforced(gateway) == {cap.slot: SessionCap(50)}
    try_sessions(lab, MEMBER, 20_000)
    try_sessions(lab, OTHER, 20_000)
    assert [udp_sessions(lab, name, 20_000) for name in (MEMBER, OTHER)] == [50, 50]
    assert lab.client(NEIGHBOUR).ping(INTERNET_HOST).received
    GATEWAY.push(gateway, [cap.inverse()])
    assert GATEWAY.enforced(gateway) == {}
    try_sessions(lab, MEMBER, 21_000)
    lab.wait_for(lambda: udp_sessions(lab, MEMBER, 21_000) >= MANY, "the member's sessions after the release")


@pytest.mark.parametrize(("port", "passes"), [(1024, True), (1025, False)])
def test_only_ports_up_to_1024(lab: Lab, gateway: Session, port: int, passes: bool) -> None:
    GATEWAY.push(gateway, [penalty(lab, MEMBER, RestrictPorts())])
    try_sessions(lab, MEMBER, port)
    try_sessions(lab, NEIGHBOUR, port)
    lab.wait_for(lambda: udp_sessions(lab, NEIGHBOUR, port) >= MANY, "the neighbour's sessions")
    assert (udp_sessions(lab, MEMBER, port) >= MANY) is passes


@pytest.mark.parametrize(("switch", "port", "client"), [("sw1", "Gi0/1", "c01"), ("sw2", "Gi0/1", "c11")])
def test_quarantine_takes_a_port_away_and_brings_it_back(lab: Lab, switch: str, port: str, client: str) -> None:
    driver = cast(Enforces, plugins.driver("cisco_ios"))
    slot = Slot(switch, Quarantine.kind, Station(port=port))
    with session_with(switch) as session:
        before = configuration(session)
        driver.push(session, [Change(slot, None, Quarantine(99))])
        assert driver.enforced(session)[slot] == Quarantine(99)
        assert {name for name, echoes in lab.ping_all().items() if not echoes.received} == {client}
        driver.push(session, [Change(slot, Quarantine(99), Quarantine(98))])
        driver.push(session, [Change(slot, Quarantine(98), None)])
        assert configuration(session) == before
    assert lab.client(client).ping(lab.client(client).gateway).received


def configuration(switch: Session) -> list[str]:
    """The part that is about ports and policies; NAPALM leaves `archive` and `file prompt quiet` behind."""
    lines = switch.ask("show running-config").splitlines()
    return [line for line in lines if line.strip().startswith(("interface", "switchport", "policy-map", "service"))]
