"""Sessions that outlive one use, over a real sshd: `$SSH_CONNECTION` tells one connection from the next."""

import getpass
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Thread

import pytest
from servers import Said, Sshd, agent

from switchguard.core.model import Device, Role
from switchguard.edge.kept import KeptSessions
from switchguard.errors import DeviceError, Unreachable
from switchguard.ports import Endpoint, Secret, SnmpAccess

GW = Device("gw", "linux", Role.GATEWAY)
CONNECTION = "echo $SSH_CONNECTION"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    kept: KeptSessions
    clock: Clock

    def ask(self, command: str = CONNECTION) -> str:
        with self.kept.open(GW) as session:
            return session.ask(command)


@pytest.fixture
def bench(gateway: Sshd) -> Iterator[Bench]:
    clock = Clock()
    endpoint = Endpoint(
        "127.0.0.1", gateway.port, getpass.getuser(), key_file=gateway.key_file, known_hosts=gateway.known_hosts
    )
    kept = KeptSessions({"gw": endpoint}, keep_s=100, monotonic=clock)
    yield Bench(kept, clock)
    kept.close()


def test_the_next_use_finds_the_connection_still_open(bench: Bench) -> None:
    assert bench.ask() == bench.ask()


def test_who_cannot_wait_gets_a_second_connection_while_the_first_is_in_use(bench: Bench) -> None:
    first = bench.ask()
    with bench.kept.open_now(GW) as session:
        assert session.ask(CONNECTION) == first
    with bench.kept.open(GW), bench.kept.open_now(GW) as session:
        second = session.ask(CONNECTION)
    with bench.kept.open(GW), bench.kept.open_now(GW) as session:
        assert session.ask(CONNECTION) == second != first
    assert bench.ask() == first


def test_a_connection_that_rested_too_long_is_opened_anew(bench: Bench) -> None:
    first = bench.ask()
    bench.clock.now += 101
    assert bench.ask() != first


def test_a_connection_that_was_lost_is_opened_anew(bench: Bench) -> None:
    first = bench.ask()
    with pytest.raises(DeviceError), bench.kept.open(GW) as session:
        session.ask("kill -9 $PPID")
    assert bench.ask() != first


def test_a_loss_that_the_user_swallowed_is_noticed(bench: Bench) -> None:
    first = bench.ask()
    with bench.kept.open(GW) as session, pytest.raises(DeviceError):
        session.ask("kill -9 $PPID")
    assert bench.ask() != first


def test_a_user_who_left_in_the_middle_leaves_no_connection_behind(bench: Bench) -> None:
    first = bench.ask()
    with pytest.raises(KeyboardInterrupt), bench.kept.open(GW):
        raise KeyboardInterrupt
    assert bench.ask() != first


def test_two_users_take_turns(bench: Bench) -> None:
    answers: list[str] = []
    threads = [Thread(target=_noting(answers, lambda: bench.ask("sleep 0.1; " + CONNECTION))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    assert len(set(answers)) == 1


def _noting(answers: list[str], ask: Callable[[], str]) -> Callable[[], None]:
    return lambda: answers.append(ask())


def test_closing_leaves_nothing_open(bench: Bench) -> None:
    first = bench.ask()
    bench.kept.close()
    assert bench.ask() != first


def test_what_is_in_use_at_the_end_is_closed_when_its_user_is_done(bench: Bench) -> None:
    """A service that reads its site anew opens sessions of its own; those of before would occupy lines for ever."""
    with bench.kept.open(GW) as first, bench.kept.open_now(GW) as second:
        used = first.ask(CONNECTION), second.ask(CONNECTION)
        bench.kept.close()
    with bench.kept.open(GW) as first, bench.kept.open_now(GW) as second:
        assert not {first.ask(CONNECTION), second.ask(CONNECTION)}.intersection(used)


def test_an_agent_that_was_silent_is_asked_again_by_the_next_use() -> None:
    """Also when a poll comes so often that the session never rests long enough to be opened anew."""
    asked: list[tuple[int, ...]] = []

    def answers(oids: tuple[tuple[int, ...], ...], _repetitions: int) -> Said | None:
        asked.extend(oids)
        return Said((((1, 3, 9), 0),)) if len(asked) > 1 else None

    with agent(answers) as port:
        access = SnmpAccess(community=Secret("public"), port=port, timeout_s=0.2, retries=0)
        kept = KeptSessions({"gw": Endpoint("127.0.0.1", snmp=access)}, keep_s=100)
        with kept.open(GW) as session, pytest.raises(Unreachable):
            session.walk("1.3.6.1")
        with kept.open(GW) as session:
            assert session.walk("1.3.6.1") == {}
