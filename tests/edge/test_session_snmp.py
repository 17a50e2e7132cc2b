"""SNMP against net-snmp, and against an agent that misbehaves on purpose."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from servers import AUTH_KEY, PRIV_KEY, Answers, Numbers, Said, agent, free_port, mib, snmpd

from switchguard import plugins
from switchguard.core.model import Device, FdbEntry, Mac, Role
from switchguard.edge.session import open_session
from switchguard.edge.session_snmp import Limits, SnmpClient
from switchguard.errors import CommandRefused, LoginRefused, NotConfigured, UnexpectedOutput, Unreachable
from switchguard.ports import Endpoint, ReadsFdb, Secret, SnmpAccess

SYSTEM = "1.3.6.1.2.1.1"
TABLE = "1.3.6.1.4.1.99999.1"
_TABLE = (1, 3, 6, 1, 4, 1, 99999, 1)
NO_SUCH_NAME, GEN_ERR, TOO_BIG = 2, 5, 1

Auth = Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"]
Priv = Literal["des", "aes", "aes192", "aes256"]


def v2c(port: int, community: str = "public") -> SnmpAccess:
    return SnmpAccess(community=Secret(community), port=port, timeout_s=0.2, retries=1)


def v3(port: int, user: str = "shaaes", auth: Auth = "sha", priv: Priv = "aes") -> SnmpAccess:
    keys = Secret(AUTH_KEY), Secret(PRIV_KEY)
    return SnmpAccess(
        "3",
        user=user,
        auth_key=keys[0],
        auth_protocol=auth,
        priv_key=keys[1],
        priv_protocol=priv,
        port=port,
        timeout_s=0.3,
        retries=1,
    )


def client(access: SnmpAccess, limits: Limits | None = None) -> SnmpClient:
    return SnmpClient("sw1", "127.0.0.1", access, limits)


# --- a switch with a bridge for every VLAN ---------------------------------------------------------------------------

CATALYST = Device("sw1", "cisco_ios", Role.ACCESS)
FORWARDING: Numbers = (1, 3, 6, 1, 2, 1, 17, 4, 3, 1, 2)
BRIDGE_PORTS, BASE_PORT = "1.3.6.1.2.1.17.4.3.1.2", "1.3.6.1.2.1.17.1.4.1.2"


def bridge(port: int, if_index: int, station: int) -> Answers:
    """One port, and one station behind it."""
    return mib({(1, 3, 6, 1, 2, 1, 17, 1, 4, 1, 2, port): if_index, (*FORWARDING, *station.to_bytes(6)): port})


@pytest.fixture
def catalyst(tmp_path: Path) -> Iterator[int]:
    """net-snmp with the contexts vlan-10 and vlan-20 of SNMPv3."""
    vlans: Numbers = (1, 3, 6, 1, 4, 1, 9, 9, 46, 1, 3, 1, 1)
    told = {(*vlans, column, 1, vlan): 1 for column in (2, 3) for vlan in (10, 20)}
    with (
        agent(mib(told)) as plain,
        agent(bridge(1, 1, 0x020000000007)) as ten,
        agent(bridge(4, 1, 0x020000000008)) as twenty,
        snmpd(tmp_path, free_port(socket.SOCK_DGRAM), {"": plain, "vlan-10": ten, "vlan-20": twenty}) as port,
    ):
        yield port


def test_the_bridge_of_a_vlan_is_asked_for_in_its_context(catalyst: int) -> None:
    switch = client(v3(catalyst))
    assert switch.walk(BRIDGE_PORTS, vlan=10) == {(2, 0, 0, 0, 0, 7): 1}
    assert switch.walk(BRIDGE_PORTS, vlan=20) == {(2, 0, 0, 0, 0, 8): 4}
    assert switch.walk(BASE_PORT, vlan=20) == {(4,): 1}
    assert switch.walk(BRIDGE_PORTS) == {}


def test_a_catalyst_is_read_vlan_by_vlan_over_version_3(catalyst: int) -> None:
    """Its first interface is net-snmp's own, the loopback."""
    driver = plugins.driver("cisco_ios")
    assert isinstance(driver, ReadsFdb)
    with open_session(CATALYST, Endpoint("127.0.0.1", snmp=v3(catalyst))) as session:
        assert driver.fdb(session) == (
            FdbEntry("sw1", "lo", Mac(0x020000000007), 10),
            FdbEntry("sw1", "lo", Mac(0x020000000008), 20),
        )


def test_a_context_that_the_agent_does_not_have_is_no_empty_table(snmp_port: int) -> None:
    with pytest.raises((LoginRefused, CommandRefused, UnexpectedOutput)):
        client(v3(snmp_port)).walk(BRIDGE_PORTS, vlan=30)


# --- a real agent ----------------------------------------------------------------------------------------------------


def test_a_walk_is_the_subtree_by_index(snmp_port: int) -> None:
    rows = client(v2c(snmp_port)).walk(SYSTEM)
    assert rows[(2, 0)] == "1.3.6.1.4.1.8072.3.2.10"
    assert rows[(5, 0)] == socket.gethostname().encode()
    assert isinstance(rows[(3, 0)], int)


def test_addresses_are_octets(snmp_port: int) -> None:
    column = "1.3.6.1.2.1.4.20.1.1"
    assert client(v2c(snmp_port)).walk(column)[(127, 0, 0, 1)] == bytes([127, 0, 0, 1])


def test_a_table_that_the_agent_lacks_is_empty(snmp_port: int) -> None:
    assert client(v2c(snmp_port)).walk("1.3.6.1.2.1.17") == {}


def test_the_end_of_the_mib_ends_a_walk(snmp_port: int) -> None:
    assert client(v2c(snmp_port)).walk("1.3.6.1.6.3.999") == {}


def test_get_tells_what_does_not_exist_from_what_does(snmp_port: int) -> None:
    name, missing_instance, missing_object = f"{SYSTEM}.5.0", f"{SYSTEM}.5.9", "1.3.6.1.9.9"
    assert client(v2c(snmp_port)).get([name, missing_instance, missing_object]) == {
        name: socket.gethostname().encode(),
        missing_instance: None,
        missing_object: None,
    }


def test_get_asks_in_portions(snmp_port: int) -> None:
    oids = [f"{SYSTEM}.9.1.4.{number}" for number in range(1, 51)]
    assert list(client(v2c(snmp_port)).get(oids)) == oids


def test_a_wrong_community_says_that_it_may_be_the_community(snmp_port: int) -> None:
    with pytest.raises(Unreachable, match=rf"no answer from 127.0.0.1:{snmp_port}; wrong address or community"):
        client(v2c(snmp_port, "guess")).walk(SYSTEM)


@pytest.mark.parametrize(
    ("user", "auth", "priv"),
    [
        ("md5des", "md5", "des"),
        ("shaaes", "sha", "aes"),
        ("sha224aes192", "sha224", "aes192"),
        ("sha256aes", "sha256", "aes"),
        ("sha384aes256", "sha384", "aes256"),
        ("sha512aes256", "sha512", "aes256"),
    ],
)
def test_every_protocol_of_version_3_is_spoken(snmp_port: int, user: str, auth: Auth, priv: Priv) -> None:
    asking = client(v3(snmp_port, user, auth, priv))
    first, second = asking.walk(SYSTEM), asking.walk(SYSTEM)  # how keys were lengthened is known from the first on
    assert (5, 0) in first.keys() == second.keys()


def test_the_other_way_to_lengthen_a_privacy_key_is_found(snmp_port: int) -> None:
    assert (5, 0) in client(v3(snmp_port, "shaaes256", "sha", "aes256")).walk(SYSTEM)


def test_an_unknown_user_is_named(snmp_port: int) -> None:
    with pytest.raises(LoginRefused, match="SNMPv3 user 'nobody' refused: the agent does not know this user"):
        client(v3(snmp_port, "nobody")).walk(SYSTEM)


def test_a_wrong_authentication_key_is_named(snmp_port: int) -> None:
    with pytest.raises(LoginRefused, match="wrong authentication key"):
        client(replace(v3(snmp_port), auth_key=Secret("not-the-phrase"))).walk(SYSTEM)


def test_a_wrong_privacy_key_is_told_from_a_dead_agent(snmp_port: int) -> None:
    with pytest.raises(LoginRefused, match="wrong privacy key or protocol"):
        client(replace(v3(snmp_port), priv_key=Secret("not-the-phrase"))).walk(SYSTEM)


def test_a_dead_agent_is_unreachable_in_version_3() -> None:
    with pytest.raises(Unreachable, match="no answer to SNMPv3"):
        client(v3(free_port(socket.SOCK_DGRAM))).walk(SYSTEM)


def test_an_agent_may_restart_between_two_walks(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    with snmpd(tmp_path, port):
        before = client(v3(port)).walk(f"{SYSTEM}.5")
    with snmpd(tmp_path, port):
        assert client(v3(port)).walk(f"{SYSTEM}.5") == before


def test_an_agent_may_be_replaced_between_two_walks(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with snmpd(old, port):
        before = client(v3(port)).walk(f"{SYSTEM}.5")
    with snmpd(new, port):
        assert client(v3(port)).walk(f"{SYSTEM}.5") == before


# --- credentials -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "why"),
    [
        (SnmpAccess(), "the site gives no SNMP community"),
        (SnmpAccess("3"), "the site gives no SNMPv3 user"),
        (SnmpAccess("3", user="ops", auth_key=Secret("long-enough")), "must give both keys"),
        (
            SnmpAccess("3", user="ops", auth_key=Secret("short"), priv_key=Secret("long-enough")),
            "at least 8 characters",
        ),
    ],
)
def test_missing_credentials_are_named_before_anything_is_sent(access: SnmpAccess, why: str) -> None:
    with pytest.raises(NotConfigured, match=why):
        client(access)


@pytest.mark.parametrize("version", ["1", "2c", "3"])
def test_an_address_to_which_no_socket_leads_is_unreachable(version: Literal["1", "2c", "3"]) -> None:
    """Linux lets nobody send to everybody unasked."""
    asking = SnmpClient("sw1", "255.255.255.255", replace(v3(161), version=version, community=Secret("public")))
    with pytest.raises(Unreachable, match="no socket to"):
        asking.walk(SYSTEM)
    with asking.ahead([[SYSTEM]]), pytest.raises(Unreachable, match="no socket to"):
        asking.walk(SYSTEM)


def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="no address for 'nowhere'"):
        SnmpClient("sw1", "nowhere", v2c(161)).walk(SYSTEM)


# --- an agent that errs ----------------------------------------------------------------------------------------------


def rows(*numbers: int) -> tuple[tuple[Numbers, int], ...]:
    return tuple(((*_TABLE, number), number) for number in numbers)


def after(oids: tuple[Numbers, ...]) -> int:
    """The row that a walk of TABLE has reached."""
    return oids[0][-1] if oids[0] != _TABLE else 0


OUTSIDE = (((1, 3, 6, 1, 4, 1, 99999, 2, 0), 0),)


def test_an_agent_that_goes_backwards_is_no_table() -> None:
    with (
        agent(lambda oids, _: Said(rows(1, 2))) as port,
        pytest.raises(UnexpectedOutput, match=rf"its SNMP table goes back after {TABLE}.2: '{TABLE}.1'"),
    ):
        client(v2c(port)).walk(TABLE)


def test_an_agent_that_stands_still_is_no_table() -> None:
    with agent(lambda oids, _: Said(rows(1))) as port, pytest.raises(UnexpectedOutput, match="goes back"):
        client(v2c(port)).walk(TABLE)


def test_a_table_without_end_is_cut_off() -> None:
    with (
        agent(lambda oids, _: Said(rows(*range(after(oids) + 1, after(oids) + 11)))) as port,
        pytest.raises(UnexpectedOutput, match="more than 100 rows"),
    ):
        client(v2c(port), Limits(rows=100)).walk(TABLE)


def test_a_walk_has_a_time_limit() -> None:
    with (
        agent(lambda oids, _: Said(rows(after(oids) + 1))) as port,
        pytest.raises(Unreachable, match=r"no end after 0.3 s"),
    ):
        client(v2c(port), Limits(seconds=0.3)).walk(TABLE)


def test_a_proxy_of_a_version_1_agent_ends_a_table_with_no_such_name() -> None:
    with agent(lambda oids, _: Said(rows(1, 2)) if after(oids) == 0 else Said(status=NO_SUCH_NAME, index=1)) as port:
        assert client(v2c(port)).walk(TABLE) == {(1,): 1, (2,): 2}


def test_a_proxy_of_a_version_1_agent_refuses_one_object_at_a_time() -> None:
    def answers(oids: tuple[Numbers, ...], _: int) -> Said:
        missing = next((place for place, oid in enumerate(oids, 1) if oid[-1] in (2, 3)), 0)
        return Said(status=NO_SUCH_NAME, index=missing) if missing else Said(tuple((oid, oid[-1]) for oid in oids))

    with agent(answers) as port:
        wanted = [f"{TABLE}.{number}" for number in (1, 2, 3, 4)]
        assert list(client(v2c(port)).get(wanted).values()) == [1, None, None, 4]


def test_an_agent_with_small_answers_is_asked_for_less() -> None:
    def answers(oids: tuple[Numbers, ...], repetitions: int) -> Said:
        if repetitions > 4:
            return Said(status=TOO_BIG)
        return Said(rows(*range(after(oids) + 1, 9)) or OUTSIDE)

    with agent(answers) as port:
        assert len(client(v2c(port)).walk(TABLE)) == 8


def test_an_agent_whose_answers_hold_no_row_at_all_is_no_table() -> None:
    with agent(lambda oids, _: Said()) as port, pytest.raises(UnexpectedOutput, match="not even one SNMP row"):
        client(v2c(port)).walk(TABLE)


def test_an_error_of_the_agent_is_quoted() -> None:
    with agent(lambda oids, _: Said(status=GEN_ERR, index=1)) as port, pytest.raises(CommandRefused) as refused:
        client(v2c(port)).walk(TABLE)
    assert (refused.value.line, refused.value.answer) == (f"SNMP GETBULK {TABLE}", "genErr")


def test_other_objects_than_asked_for_are_no_answer() -> None:
    with agent(lambda oids, _: Said(rows(7))) as port, pytest.raises(UnexpectedOutput, match="other SNMP objects"):
        client(v2c(port)).get([f"{TABLE}.1"])


def test_octets_that_are_no_snmp_are_no_answer() -> None:
    with agent(lambda oids, _: Said(octets=b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port, pytest.raises(Unreachable):
        client(v2c(port)).walk(TABLE)


def test_a_lost_answer_is_asked_for_again() -> None:
    asked: list[Numbers] = []

    def answers(oids: tuple[Numbers, ...], _: int) -> Said | None:
        asked.extend(oids)
        return Said(OUTSIDE) if len(asked) > 1 else None

    with agent(answers) as port:
        assert client(v2c(port)).walk(TABLE) == {}
    assert asked == [_TABLE, _TABLE]


def test_an_agent_that_never_answered_is_not_waited_for_again() -> None:
    asked: list[Numbers] = []

    def answers(oids: tuple[Numbers, ...], _: int) -> None:
        asked.extend(oids)

    with agent(answers) as port:
        silent = client(v2c(port))
        for _ in range(3):
            with pytest.raises(Unreachable):
                silent.walk(TABLE)
    assert asked == [_TABLE, _TABLE]


def test_one_table_that_hangs_does_not_cost_the_others() -> None:
    other = (1, 3, 6, 1, 4, 1, 99999, 5)
    with agent(
        lambda oids, _: None if oids[0] == other else Said(rows(1)[:1] if after(oids) == 0 else OUTSIDE)
    ) as port:
        half_dead = client(v2c(port))
        assert half_dead.walk(TABLE) == {(1,): 1}
        with pytest.raises(Unreachable, match="stopped answering"):
            half_dead.walk("1.3.6.1.4.1.99999.5")
        assert half_dead.walk(TABLE) == {(1,): 1}
