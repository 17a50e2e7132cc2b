"""Traps and informs of net-snmp's own programs, and what many of them at once come to."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import pytest
from servers import AUTH_KEY, PRIV_KEY, free_port

from switchguard.core.model import Mac
from switchguard.edge.traps import Hint, Patience, TrapReceiver, meaning, senders
from switchguard.errors import SiteError
from switchguard.ports import Endpoint, Listening, Secret, SnmpAccess

V2C = SnmpAccess(community=Secret("look"))
V3 = SnmpAccess("3", user="shaaes", auth_key=Secret(AUTH_KEY), priv_key=Secret(PRIV_KEY))
ENGINE_ID = bytes.fromhex("8000000001020304")
MAC, OTHER = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
LINK_DOWN, COLD_START = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.1"
MAC_CHANGED, CHANGES = "1.3.6.1.4.1.9.9.215.2.0.1", "1.3.6.1.4.1.9.9.215.1.1.8.1.2.1"
TRAP_OID = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)


def change(mac: Mac, happened: int = 1, vlan: int = 10, port: int = 4) -> bytes:
    return bytes((happened,)) + vlan.to_bytes(2) + mac.octets + port.to_bytes(2)


@contextmanager
def receiver(
    sender: str = "127.0.0.1", address: str = "127.0.0.1", pause_s: float = 0.0
) -> Iterator[tuple[int, "SimpleQueue[Hint]"]]:
    """Its port and what it hears; notifications from `sender` are sw1's."""
    heard: SimpleQueue[Hint] = SimpleQueue()
    port = free_port(socket.SOCK_DGRAM)
    listening = TrapReceiver(Listening(address, port, (V2C, V3), (ENGINE_ID,)), {sender: "sw1"}, heard.put, pause_s)
    listening.start()
    try:
        yield port, heard
    finally:
        listening.stop()


def send(program: str, port: int, kind: str, *variables: str, options: Sequence[str] = ("-v2c", "-clook")) -> int:
    command = [program, "-m", "", *options, f"127.0.0.1:{port}", "4200", kind, *variables]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode


def v3(*more: str) -> tuple[str, ...]:
    return ("-v3", "-ushaaes", "-lauthPriv", "-aSHA", "-A", AUTH_KEY, "-xAES", "-X", PRIV_KEY, *more)


def test_a_link_that_goes_down_is_a_hint() -> None:
    with receiver() as (port, heard):
        send("snmptrap", port, LINK_DOWN, "1.3.6.1.2.1.2.2.1.1.7", "i", "7")
        assert heard.get(timeout=10) == Hint("sw1", "a link changed")


def test_an_inform_is_confirmed() -> None:
    with receiver() as (port, heard):
        assert send("snmpinform", port, LINK_DOWN) == 0
        assert heard.get(timeout=10) == Hint("sw1", "a link changed")


def test_ciscos_changes_name_the_stations() -> None:
    with receiver() as (port, heard):
        send("snmptrap", port, MAC_CHANGED, CHANGES, "x", (change(MAC) + change(OTHER, 2) + bytes(11)).hex())
        assert heard.get(timeout=10) == Hint("sw1", "a station changed", frozenset({MAC, OTHER}))


def test_version_3_traps_are_understood_from_engines_that_are_known() -> None:
    with receiver() as (port, heard):
        send("snmptrap", port, LINK_DOWN, options=v3("-e", f"0x{ENGINE_ID.hex()}"))
        assert heard.get(timeout=10) == Hint("sw1", "a link changed")


def test_version_3_informs_need_no_known_engine() -> None:
    with receiver() as (port, heard):
        assert send("snmpinform", port, LINK_DOWN, options=v3()) == 0
        assert heard.get(timeout=10) == Hint("sw1", "a link changed")


@pytest.mark.parametrize(
    "options",
    [
        ("-v2c", "-cguess"),
        v3("-A", "not-the-phrase", "-e", f"0x{ENGINE_ID.hex()}"),
        v3("-l", "noAuthNoPriv", "-e", f"0x{ENGINE_ID.hex()}"),
    ],
    ids=["community", "key", "unsigned"],
)
def test_who_does_not_know_the_secret_is_not_heard(options: Sequence[str]) -> None:
    with receiver() as (port, heard):
        send("snmptrap", port, LINK_DOWN, options=options)
        send("snmptrap", port, MAC_CHANGED, CHANGES, "x", change(MAC).hex())
        assert heard.get(timeout=10).what == "a station changed"


def test_strangers_and_other_messages_are_no_hints() -> None:
    with receiver(sender="127.0.0.9") as (port, heard):
        assert send("snmpinform", port, LINK_DOWN) == 0
        with pytest.raises(Empty):
            heard.get_nowait()
    with receiver() as (port, heard):
        assert send("snmpinform", port, COLD_START) == 0
        with pytest.raises(Empty):
            heard.get_nowait()


def test_octets_that_are_no_snmp_do_not_deafen() -> None:
    with receiver() as (port, heard):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            for octets in (b"", b"GET / HTTP/1.1", b"\x30\x82\xff\xff", bytes(1000)):
                sending.sendto(octets, ("127.0.0.1", port))
        send("snmptrap", port, LINK_DOWN)
        assert heard.get(timeout=10) == Hint("sw1", "a link changed")


def test_a_port_that_is_taken_is_named() -> None:
    with receiver() as (port, _), pytest.raises(SiteError, match=f"cannot listen for traps on 127.0.0.1:{port}: Addr"):
        TrapReceiver(Listening("127.0.0.1", port, (V2C,)), {}, lambda hint: None).start()


def test_senders_are_known_by_their_addresses() -> None:
    hosts = {"sw1": Endpoint("127.0.0.1"), "sw2": Endpoint("nowhere"), "sw3": Endpoint("::1")}
    assert senders(hosts) == {"127.0.0.1": "sw1", "::1": "sw3"}


# --- meaning ---------------------------------------------------------------------------------------------------------


def test_forwarding_entries_in_a_notification_name_stations() -> None:
    q_bridge = ((1, 3, 6, 1, 2, 1, 17, 7, 1, 2, 2, 1, 2, 10, *MAC.octets), 4)
    bridge = ((1, 3, 6, 1, 2, 1, 17, 4, 3, 1, 2, *OTHER.octets), 4)
    hint = meaning("sw1", [(TRAP_OID, (1, 3, 6, 1, 4, 1, 30065, 3, 2)), q_bridge, bridge])
    assert hint == Hint("sw1", "a station changed", frozenset({MAC, OTHER}))


def test_a_moved_station_is_named() -> None:
    assert meaning("sw1", [((1, 3, 6, 1, 4, 1, 9, 9, 215, 1, 3, 3, 0), MAC.octets)]) == Hint(
        "sw1", "a station changed", frozenset({MAC})
    )


def test_what_follows_an_end_mark_or_is_cut_off_is_ignored() -> None:
    column = tuple(map(int, CHANGES.split(".")))
    assert meaning("sw1", [(column, bytes(11) + change(MAC))]) is None
    assert meaning("sw1", [(column, change(MAC)[:10])]) is None


# --- patience --------------------------------------------------------------------------------------------------------


class Stage:
    """A clock that stands until it is set, and what is to be done later."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[Hint] = []
        self.calls: list[float] = []
        self.patience = Patience(self.told.append, lambda: self.now, self._later, pause_s=2.0)
        self._works: list[object] = []

    def _later(self, seconds: float, work: object) -> None:
        self.calls.append(seconds)
        self._works.append(work)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        works, self._works = self._works, []
        for work in works:
            assert callable(work)
            work()


def station(mac: Mac) -> Hint:
    return Hint("sw1", "a station changed", frozenset({mac}))


def test_the_first_hint_is_passed_on_at_once() -> None:
    stage = Stage()
    stage.patience.hear(station(MAC))
    assert (stage.told, stage.calls) == ([station(MAC)], [])


def test_a_storm_is_two_hints_and_the_last_one_is_not_lost() -> None:
    stage = Stage()
    for _ in range(1000):
        stage.patience.hear(station(MAC))
    stage.patience.hear(station(OTHER))
    assert stage.calls == [2.0]
    stage.pass_time(2.0)
    assert stage.told == [station(MAC), Hint("sw1", "a station changed", frozenset({MAC, OTHER}))]


def test_a_link_among_the_waiting_hints_concerns_everybody() -> None:
    stage = Stage()
    for hint in (station(MAC), station(MAC), Hint("sw1", "a link changed")):
        stage.patience.hear(hint)
    stage.pass_time(2.0)
    assert stage.told[1] == Hint("sw1", "a link changed")


def test_devices_do_not_wait_for_each_other() -> None:
    stage = Stage()
    stage.patience.hear(station(MAC))
    stage.patience.hear(Hint("sw2", "a link changed"))
    assert [hint.device for hint in stage.told] == ["sw1", "sw2"]
