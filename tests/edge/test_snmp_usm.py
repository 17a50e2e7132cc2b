"""SNMPv3 over gufo-snmp: who is between us and an agent can keep answers back, and neither invent nor change any."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import AUTH_KEY, PRIV_KEY, SNMP_USERS, free_port, relay, snmpd

from switchguard.edge.session_snmp import SnmpClient
from switchguard.edge.snmp_gufo import UserLine
from switchguard.edge.snmp_line import EngineKey, Index, Page, Reply, Silence
from switchguard.edge.snmp_usm import Agent, NoEnvelope, envelope
from switchguard.errors import DeviceError, LoginRefused
from switchguard.ports import Oid, Secret, SnmpAccess

SYSTEM = "1.3.6.1.2.1.1.9.1.2"
NAMES = f"{SYSTEM}.1", "1.3.6.1.2.1.1.5.0"
ENCRYPTED = 3
"""The flags of a message that is authenticated and encrypted."""


def access(port: int, user: str = "shaaes") -> SnmpAccess:
    auth, priv = (spelt.lower().replace("-", "") for spelt in SNMP_USERS[user])
    keys = {"auth_key": Secret(AUTH_KEY), "priv_key": Secret(PRIV_KEY)}
    said: dict[str, Any] = {"user": user, "auth_protocol": auth, "priv_protocol": priv, **keys}
    return SnmpAccess("3", port=port, timeout_s=0.3, **said)


def v2c(port: int) -> SnmpAccess:
    return SnmpAccess(community=Secret("public"), port=port, timeout_s=0.3)


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def client(port: int, user: str = "shaaes") -> SnmpClient:
    return SnmpClient("sw1", "127.0.0.1", access(port, user))


# --- it is spoken without pysnmp -------------------------------------------------------------------------------------


@dataclass
class NotNeeded:
    """A second line that nobody may ask."""

    async def get(self, oids: Sequence[Oid], wait_s: float) -> Reply:
        raise AssertionError(oids)

    async def page(self, column: Oid, after: Index, repetitions: int, wait_s: float) -> Page:
        raise AssertionError(column, after, repetitions)

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("user", sorted(SNMP_USERS))
def test_every_protocol_is_spoken_by_gufo_alone(snmp_port: int, user: str) -> None:
    """net-snmp lengthens keys in Blumenthal's way."""

    async def asks() -> tuple[Reply, Page]:
        line = UserLine(("127.0.0.1", snmp_port), EngineKey(access(snmp_port, user), blumenthal=True), NotNeeded())
        try:
            return await line.get(NAMES, 1.0), await line.page(SYSTEM, (), 20, 1.0)
        finally:
            line.close()

    reply, page = asyncio.run(asks())
    assert dict(reply.values)[NAMES[1]] == socket.gethostname().encode()
    assert page.rows[0] == ((1,), dict(reply.values)[NAMES[0]])


def test_an_agent_that_restarts_in_the_middle_is_met_again(tmp_path: Path) -> None:
    """Whoever waits for an answer in vain asks again, as always."""
    port = free_port(socket.SOCK_DGRAM)

    async def asks() -> tuple[Page, Page]:
        line = UserLine(("127.0.0.1", port), EngineKey(access(port)), NotNeeded())
        try:
            with snmpd(tmp_path, port):
                first = await line.page(SYSTEM, (), 3, 1.0)
            with snmpd(tmp_path, port):
                with pytest.raises(Silence):
                    await line.page(SYSTEM, first.rows[-1][0], 3, 1.0)
                return first, await line.page(SYSTEM, first.rows[-1][0], 3, 1.0)
        finally:
            line.close()

    before, after = asyncio.run(asks())
    assert [index for index, _ in (*before.rows, *after.rows)] == [(row,) for row in range(1, 7)]


def test_a_line_that_is_closed_keeps_no_descriptor(snmp_port: int, collector_off: None) -> None:
    """Neither of one that answered nor of one that refused us."""

    def open_now() -> int:
        return len(os.listdir("/proc/self/fd"))

    asking = (access(snmp_port), replace(access(snmp_port), auth_key=Secret("wrong-phrase")), v2c(snmp_port))
    for said in asking:
        with suppress(LoginRefused):  # an engine of pysnmp stays, with a socket of its own
            SnmpClient("sw1", "127.0.0.1", said).walk(SYSTEM)
    before = open_now()
    for said in asking:
        with suppress(LoginRefused):
            SnmpClient("sw1", "127.0.0.1", said).walk(SYSTEM)
    assert open_now() == before


# --- somebody between us ---------------------------------------------------------------------------------------------


@dataclass
class Between:
    """What somebody on the way sends instead of an answer, given what went through before."""

    attack: Callable[[bytes, list[bytes]], list[bytes]]
    seen: list[bytes] = field(default_factory=list)

    def instead(self, answer: bytes) -> list[bytes]:
        told = self.attack(answer, self.seen)
        self.seen.append(answer)
        return told


def between(behind: int, attack: Callable[[bytes, list[bytes]], list[bytes]]) -> AbstractContextManager[int]:
    return relay(behind, Between(attack).instead)


def digest(datagram: bytes) -> slice:
    return envelope(datagram).digest


def unsigned(datagram: bytes) -> bytes:
    """With zeros for a digest, which gufo-snmp 0.13 takes."""
    where = digest(datagram)
    return datagram[: where.start] + bytes(where.stop - where.start) + datagram[where.stop :]


def tampered(datagram: bytes) -> bytes:
    """With a bit of the enciphered rows flipped."""
    return datagram[:-1] + bytes([datagram[-1] ^ 1])


def in_the_clear(datagram: bytes) -> bytes:
    """With flags that say that nothing is signed."""
    return datagram.replace(b"\x04\x01\x03\x02", b"\x04\x01\x00\x02", 1)


def is_rows(datagram: bytes) -> bool:
    """As opposed to the two messages of an introduction."""
    return envelope(datagram).flags == ENCRYPTED


HOPELESS: Mapping[str, Callable[[bytes, list[bytes]], list[bytes]]] = {
    "without a digest": lambda answer, _: [unsigned(answer)],
    "tampered with": lambda answer, _: [tampered(answer) if is_rows(answer) else answer],
    "as if in the clear": lambda answer, _: [in_the_clear(answer)],
    "an old answer instead": lambda answer, seen: [seen[-1] if seen else answer],
    "cut off": lambda answer, _: [answer[:-4]],
    "no SNMP": lambda answer, _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "empty": lambda answer, _: [b""],
}


@pytest.mark.parametrize("attack", HOPELESS)
def test_an_answer_that_is_not_the_agents_is_no_answer(snmp_port: int, attack: str) -> None:
    with between(snmp_port, HOPELESS[attack]) as port, pytest.raises(DeviceError):
        client(port).walk(SYSTEM)


BESIDE: Mapping[str, Callable[[bytes, list[bytes]], list[bytes]]] = {
    "a forged one first": lambda answer, _: [unsigned(answer), answer],
    "the one before, and a forged one": lambda answer, seen: [*seen[-1:], unsigned(answer), answer],
    "everything so far": lambda answer, seen: [*seen, answer],
    "the same twice": lambda answer, _: [answer, answer],
    "rubbish first": lambda answer, _: [b"\x30\x84\xff\xff\xff\xff", b"", answer],
    "a report in the clear first": lambda answer, seen: [in_the_clear(answer), answer],
}


@pytest.mark.parametrize("attack", BESIDE)
def test_what_comes_beside_the_answer_changes_nothing(snmp_port: int, attack: str) -> None:
    usual = client(snmp_port).walk(SYSTEM)
    with between(snmp_port, BESIDE[attack]) as port:
        asking = client(port)
        assert [asking.walk(SYSTEM), asking.walk(SYSTEM)] == [usual, usual]


def test_an_agent_without_our_key_is_no_agent(snmp_port: int) -> None:
    wrong = SnmpAccess(
        "3", user="shaaes", auth_key=Secret("wrong-phrase"), priv_key=Secret(PRIV_KEY), port=snmp_port, timeout_s=0.3
    )
    with pytest.raises(LoginRefused, match="authentication key"):
        SnmpClient("sw1", "127.0.0.1", wrong).walk(SYSTEM)


# --- the check itself ------------------------------------------------------------------------------------------------


def recorded(snmp_port: int) -> tuple[Agent, bytes]:
    """An agent that was met, and a genuine answer of it."""
    answers: list[bytes] = []

    def keep(answer: bytes, _seen: list[bytes]) -> list[bytes]:
        answers.append(answer)
        return [answer]

    async def asks(port: int) -> Agent:
        line = UserLine(("127.0.0.1", port), EngineKey(access(port)), NotNeeded())
        try:
            await line.page(SYSTEM, (), 20, 1.0)
            assert line.agent is not None
            return line.agent
        finally:
            line.close()

    with between(snmp_port, keep) as port:
        agent = asyncio.run(asks(port))
    return agent, answers[-1]


@pytest.fixture(scope="module")
def genuine(snmp_port: int) -> tuple[Agent, bytes]:
    return recorded(snmp_port)


def takes(agent: Agent, datagram: bytes) -> bool:
    try:
        return agent.wrote(datagram, envelope(datagram))
    except NoEnvelope:
        return False


def test_a_genuine_answer_is_genuine(genuine: tuple[Agent, bytes]) -> None:
    agent, answer = genuine
    assert takes(agent, answer)


@given(data=st.data())
def test_no_octet_of_a_genuine_answer_can_be_changed(genuine: tuple[Agent, bytes], data: st.DataObject) -> None:
    agent, answer = genuine
    at = data.draw(st.integers(0, len(answer) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda it: it != answer[at]))
    assert not takes(agent, answer[:at] + bytes([octet]) + answer[at + 1 :])


@given(cut=st.integers(0, 120), more=st.binary(max_size=8))
def test_a_damaged_envelope_is_none(genuine: tuple[Agent, bytes], cut: int, more: bytes) -> None:
    agent, answer = genuine
    damaged = answer[:cut] + more
    assert damaged == answer or not takes(agent, damaged)


@given(st.binary(max_size=200))
def test_octets_are_an_envelope_or_none(octets: bytes) -> None:
    with suppress(NoEnvelope):
        assert envelope(octets).digest.stop <= len(octets)


@pytest.mark.parametrize(
    ("boots", "time_s", "is_new"), [(0, 0, True), (0, 150, True), (0, 151, False), (1, -9999, False), (-1, 9999, True)]
)
def test_an_answer_from_before_is_old(genuine: tuple[Agent, bytes], boots: int, time_s: int, is_new: bool) -> None:
    """What the agent has said since: so many restarts and seconds more."""
    agent, answer = genuine
    said = envelope(answer)
    later = Agent(agent.engine, agent.user, agent.protocol, agent.key, said.boots + boots, said.time_s + time_s)
    assert takes(later, answer) is is_new
