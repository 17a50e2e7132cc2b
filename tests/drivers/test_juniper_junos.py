"""Junos: filters that never discard everybody, announcements that are exactly ours, and sessions as XML."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from ipaddress import ip_address
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_juniper_junos import BEFORE_ELS, BLOCK, IN_VLAN_20, LIMIT, MAC, OTHER_BLOCK, JunosSwitch, Model
from replay import RECORDINGS, Replay

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Role, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import DeviceError, UnexpectedDiff
from switchguard.lab.frontends.junos_config import display_set, load
from switchguard.lab.plane import PlaneState
from switchguard.ports import ClearsSessions, Enforces, ReadsCapture

JUNOS = cast(Enforces, plugins.driver("juniper_junos"))
config: Any = import_module("switchguard.drivers._junos_config")
IN_10, IN_20 = (str(MAC), 10), (str(MAC), 20)
FILTER = "firewall family ethernet-switching filter SWITCHGUARD-10"


@pytest.fixture
def switch() -> JunosSwitch:
    return Model()


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_a_block_drops_frames_from_and_to_the_station_and_nobody_else(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [BLOCK])
    assert switch.plane == PlaneState(drops=frozenset({IN_10}))


def test_with_the_last_mac_the_filter_and_its_binding_go_in_one_commit(switch: JunosSwitch) -> None:
    start = switch.text()
    JUNOS.push(switch, [BLOCK])
    JUNOS.push(switch, [BLOCK.inverse()])
    assert switch.typed[-1] == (
        "delete firewall family ethernet-switching filter SWITCHGUARD-10",
        "delete vlans v10 forwarding-options filter input",
    )
    assert switch.text() == start


def test_the_model_knows_what_an_empty_condition_does(switch: JunosSwitch) -> None:
    """What our release must not do: delete the addresses and leave the terms."""
    JUNOS.push(switch, [BLOCK])
    head = "delete firewall family ethernet-switching filter SWITCHGUARD-10 term"
    switch.type_in(f"{head} sent from source-mac-address {MAC}/48")
    assert switch.plane.down == {f"ge-0_0_{port}" for port in range(1, 9)}


@given(st.lists(st.sets(st.sampled_from([BLOCK, IN_VLAN_20, OTHER_BLOCK])), max_size=6))
@settings(max_examples=40, deadline=None)
def test_no_term_that_discards_is_ever_without_a_condition(steps: list[set[Change]]) -> None:
    switch = Model()
    start = switch.text()
    for wanted in [*steps, set()]:
        stands = JUNOS.enforced(switch)
        changes = [
            Change(change.slot, stands.get(change.slot), change.after if change in wanted else None)
            for change in (BLOCK, IN_VLAN_20, OTHER_BLOCK)
        ]
        JUNOS.push(switch, changes)
        assert switch.plane.down == frozenset()
        assert switch.plane.drops == {(str(it.slot.station.mac), it.slot.station.vlan) for it in wanted}
    assert switch.text() == start


def test_a_switch_without_els_binds_the_filter_in_its_own_place(switch: JunosSwitch) -> None:
    """`vlans v10 filter`, which the model, a switch with ELS, does not know."""
    switch.style = BEFORE_ELS
    with pytest.raises(DeviceError, match="refused 'filter': syntax error"):
        JUNOS.push(switch, [BLOCK])


def test_a_vlan_with_somebody_elses_filter_is_left_alone(switch: JunosSwitch) -> None:
    switch.type_in("set vlans v10 forwarding-options filter input SOMEBODY")
    before = switch.text()
    with pytest.raises(DeviceError, match="VLAN v10 has the filter SOMEBODY of somebody else"):
        JUNOS.push(switch, [BLOCK])
    assert switch.text() == before


def test_a_vlan_that_is_not_configured_cannot_be_blocked_in(switch: JunosSwitch) -> None:
    change = Change(Slot("sw1", "block", Station(vlan=30, mac=MAC)), None, Block())
    with pytest.raises(DeviceError, match="no VLANs with number 30"):
        JUNOS.push(switch, [change])


def test_a_filter_that_is_bound_nowhere_blocks_nobody_and_is_bound_again(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [BLOCK])
    switch.type_in("delete vlans v10 forwarding-options filter input")
    assert JUNOS.enforced(switch) == {}
    JUNOS.push(switch, [BLOCK])
    assert switch.plane.drops == {IN_10}


def test_what_somebody_adds_to_our_filter_is_taken_out_by_the_next_block(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [BLOCK])
    switch.type_in(f"set {FILTER} term sent then count HITS")
    assert JUNOS.enforced(switch) == {BLOCK.slot: Block("address")}
    JUNOS.push(switch, [BLOCK])
    assert JUNOS.enforced(switch) == {BLOCK.slot: Block()}


@pytest.mark.parametrize(
    "typed",
    [
        f"set {FILTER} term sent then count HITS",
        f"delete {FILTER} term received from destination-mac-address 02:00:00:00:00:07/48",
        f"set {FILTER} term sent from source-mac-address 02:00:00:00:00:09/48",
    ],
    ids=["a counter", "one way only", "a MAC too many"],
)
def test_a_station_is_let_go_from_a_filter_that_somebody_has_touched(switch: JunosSwitch, typed: str) -> None:
    """It is still stopped by what is left of it, so the release may not be taken for done."""
    JUNOS.push(switch, [BLOCK, OTHER_BLOCK])
    switch.type_in(typed)
    assert JUNOS.enforced(switch)[BLOCK.slot] == Block("address")
    JUNOS.push(switch, [Change(BLOCK.slot, Block("address"), None)])
    assert f"{MAC}/48" not in switch.text()
    assert JUNOS.enforced(switch)[OTHER_BLOCK.slot] == Block()


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_limit_polices_what_the_client_sends(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [LIMIT])
    assert switch.plane == PlaneState(rates={"ge-0_0_7": 64_000})


def test_a_limit_is_changed_in_place(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [LIMIT])
    JUNOS.push(switch, [Change(LIMIT.slot, LIMIT.after, RateLimit(2_000_000))])
    assert switch.typed[-1] == (
        "set firewall policer SWITCHGUARD-ge-0-0-7 if-exceeding bandwidth-limit 2m",
        "set firewall policer SWITCHGUARD-ge-0-0-7 if-exceeding burst-size-limit 375k",
    )
    assert switch.plane.rates == {"ge-0_0_7": 2_000_000}


def test_what_is_left_of_an_emptied_limit_is_deleted_by_its_name(switch: JunosSwitch) -> None:
    """Without it, somebody else's policers would be meant as well."""
    start = sorted(switch.text().splitlines())
    JUNOS.push(switch, [LIMIT])
    policer = "firewall policer SWITCHGUARD-ge-0-0-7"
    switch.type_in(f"delete {policer} if-exceeding\ndelete {policer} then")
    JUNOS.push(switch, [LIMIT.inverse()])
    assert f"delete {policer}" in switch.typed[-1]
    assert sorted(switch.text().splitlines()) == start


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("set interfaces ge-0/0/7 unit 0 family ethernet-switching filter input SOMEBODY", "filter SOMEBODY"),
        ("delete interfaces ge-0/0/7 unit 0", "switches no frames"),
    ],
)
def test_a_port_that_is_not_a_clients_alone_gets_no_limit(switch: JunosSwitch, typed: str, why: str) -> None:
    switch.type_in(typed)
    with pytest.raises(DeviceError, match=why):
        JUNOS.push(switch, [LIMIT])


@pytest.mark.parametrize("port", ["ge-0/0/7; reboot", "ge-0/0/7\ndelete vlans", "", "irb.10"])
def test_only_names_of_ports_reach_a_command(switch: JunosSwitch, port: str) -> None:
    with pytest.raises(DeviceError, match="no name of a port"):
        JUNOS.render([Change(Slot("sw1", "limit", Station(port=port)), None, RateLimit(64_000))])


def test_a_limit_below_what_policers_take_cannot_be_expressed() -> None:
    with pytest.raises(DeviceError, match="cannot express"):
        JUNOS.render([Change(LIMIT.slot, None, RateLimit(8_000))])


# --- announcements ---------------------------------------------------------------------------------------------------


def test_a_candidate_with_somebody_elses_change_is_not_committed(switch: JunosSwitch) -> None:
    switch.extra = ("set snmp contact somebody-else",)
    with pytest.raises(UnexpectedDiff, match="snmp contact somebody-else"):
        JUNOS.push(switch, [BLOCK])
    assert switch.commits == 0


def test_an_announcement_that_lacks_a_line_is_not_committed(switch: JunosSwitch) -> None:
    switch.rewrite = lambda diff: "\n".join(line for line in diff.splitlines() if "discard" not in line)
    with pytest.raises(UnexpectedDiff, match="missing"):
        JUNOS.push(switch, [BLOCK])
    assert switch.commits == 0


def test_an_announcement_is_read_however_it_is_laid_out() -> None:
    told = """[edit firewall family ethernet-switching filter SWITCHGUARD-10 term sent from]
        source-mac-address {
            02:00:00:00:00:07/48;
+           02:00:00:00:00:08/48;
        }
[edit interfaces ge-0/0/7 unit 0 family ethernet-switching]
+      filter {
+          input SWITCHGUARD-ge-0-0-7;
+      }
[edit vlans]
-   guests {
-       vlan-id 20; ## nobody's
-   }
!   inactive: lab { ... }"""
    head = ("firewall", "family", "ethernet-switching", "filter", "SWITCHGUARD-10", "term", "sent", "from")
    unit = ("interfaces", "ge-0/0/7", "unit", "0", "family", "ethernet-switching")
    assert list(config._announced(told)) == [
        ("+", (*head, "source-mac-address", "02:00:00:00:00:08/48")),
        ("+", (*unit, "filter", "input", "SWITCHGUARD-ge-0-0-7")),
        ("-", ("vlans", "guests", "vlan-id", "20")),
        ("!", ("vlans", "inactive:", "lab", "{", "...", "}")),
    ]


@pytest.mark.parametrize(("number", "text"), [(64_000, "64k"), (2_000_000, "2m"), (1_500, "1500"), (10**9, "1g")])
def test_amounts_are_shortened_as_junos_does(number: int, text: str) -> None:
    assert (config.amount(number), config.number(text)) == (text, number)


# --- sessions that are cleared ----------------------------------------------------------------------------------------


def clear(answer: str) -> int:
    question = "clear security flow session source-prefix 10.10.0.107/32"
    device = Device("srx1", "juniper_junos", Role.GATEWAY)
    session = Replay(device, frozenset({"cli"}), {("ask", question): answer})
    return cast(ClearsSessions, JUNOS).clear_sessions(session, [ip_address("10.10.0.107")])


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("3 active sessions cleared\n", 3),
        ("node0:\n----------\n3 active sessions cleared\n\nnode1:\n----------\n4 active sessions cleared\n", 4),
    ],
)
def test_a_client_s_sessions_are_cleared_and_counted(answer: str, number: int) -> None:
    assert clear(answer) == number


@pytest.mark.parametrize("answer", ["", "error: usp_ipc_client_open: failed to connect to the server\n", "node0:\n"])
def test_an_answer_without_a_number_is_no_success(answer: str) -> None:
    with pytest.raises(DeviceError):
        clear(answer)


# --- sessions as XML -------------------------------------------------------------------------------------------------


def xml(*sessions: str, total: int | None = None) -> bytes:
    frame = '<flow-session-information xmlns="http://xml.juniper.net/junos/15.1I0/junos-flow">'
    count = f"<displayed-session-count>{len(sessions) if total is None else total}</displayed-session-count>"
    reply = ["<rpc-reply>", frame, *sessions, count, "</flow-session-information>", "</rpc-reply>", ""]
    return "\n".join(reply).encode()


def session(state: str = "") -> str:
    def wings() -> Iterator[str]:
        for way, ends, packets in (
            ("In", ("10.10.0.107", 51413, "198.18.3.7", 6881), 7),
            ("Out", ("198.18.3.7", 6881, "203.0.113.30", 20111), 0),
        ):
            names = ("source-address", "source-port", "destination-address", "destination-port")
            told = [f"<{name}>{value}</{name}>" for name, value in zip(names, ends, strict=True)]
            yield "\n".join(
                [
                    '<flow-information junos:style="brief">',
                    f"<direction>{way}</direction>",
                    *told,
                    "<protocol>udp</protocol>",
                    "<interface-name>ge-0/0/1.0</interface-name>",
                    f"<pkt-cnt>{packets}</pkt-cnt>",
                    f"<byte-cnt>{packets * 100}</byte-cnt>",
                    "</flow-information>",
                ]
            )

    told = [f"<session-state>{state}</session-state>"] if state else []
    timeouts = ["<configured-timeout>60</configured-timeout>", "<timeout>48</timeout>", "<duration>300</duration>"]
    return "\n".join(['<flow-session junos:style="brief">', *told, *timeouts, *wings(), "</flow-session>"])


def capture(*chunks: bytes) -> Any:
    return cast(ReadsCapture, JUNOS).read_capture(chunks, "sessions-xml", ())


def test_xml_tells_how_long_a_session_has_been_idle() -> None:
    (usage,) = capture(xml(session())).usages
    assert usage.address == ip_address("10.10.0.107")
    assert (usage.median_idle_s, usage.oldest_s, usage.unanswered_share, usage.bytes_out) == (12.0, 300.0, 1.0, 700)


def test_the_other_nodes_copy_of_a_session_does_not_count() -> None:
    table = capture(xml(session("Active"), session("Backup")))
    assert (table.entries, table.complete) == (1, True)


def test_xml_that_is_cut_off_is_told() -> None:
    assert not capture(xml(session())[:-200]).complete
    assert not capture(xml(session(), total=2)).complete


def test_a_line_of_xml_that_is_no_element_is_quoted() -> None:
    table = capture(xml(session()).replace(b"<protocol>udp</protocol>", b"--More--"))
    assert (table.unparsed, table.samples[0]) == (3, (13, "--More--"))


# --- the lab's own schema --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("set vlans v10 filter input X", "filter"),
        ("set vlans v10 vlan-id 4095", "4095"),
        ("set interfaces ge-9/9/9 disable", "ge-9/9/9"),
        ("set firewall family ethernet-switching filter X term t from source-mac-address 02:00/48", "02:00/48"),
        ("no vlans v10", "no"),
    ],
)
def test_lines_that_no_switch_takes_are_refused(switch: JunosSwitch, line: str, word: str) -> None:
    after, refused = load(switch.schema, switch.active, [line])
    assert (display_set(after), refused[0].word) == (display_set(switch.active), word)


def test_what_is_no_mac_makes_our_filter_a_damaged_one() -> None:
    recorded = Replay.load(RECORDINGS / "juniper_junos/enforced/blocks_and_a_limit")
    odd = {
        question: text.replace("02:00:00:00:00:07/48", "2:00:00:00:00:07/48", 1)
        for question, text in recorded.answers.items()
    }
    assert odd != recorded.answers
    standing = cast(Enforces, plugins.driver("juniper_junos")).enforced(replace(recorded, answers=odd))
    assert {it for slot, it in standing.items() if slot.station.vlan == 10 and slot.kind == "block"} == {
        Block("address")
    }
