"""ASA: whose a connection is, tables from files, what the administrator has to prepare, and ended connections."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_cisco_asa import BLOCK, CAP, LIMIT, OTHER, OTHER_CAP, PREPARED, Model
from replay import Replay

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Role
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import CommandRefused, DeviceError, UnexpectedOutput
from switchguard.ports import ClearsSessions, Enforces, NatTable, ReadsCapture, ReadsNat

DRIVER = plugins.driver("cisco_asa")
NAMEIF = """\
Interface                Name                     Security
GigabitEthernet0/0       outside                    0
GigabitEthernet0/1       inside                   100
GigabitEthernet0/2       dmz                       50
Management0/0            management               100
"""
CONN = "TCP outside {}, idle 0:00:30, bytes 1965, flags UIO\n"
DETAIL = """\
TCP FORTISIEM: 198.51.100.76/57798 beproxy: 10.10.19.90/8000,
    flags UIO N1, idle 8s, uptime 2h39m, timeout 1h0m, bytes 14395, Rx-RingNum 61, Internal-Data0/1
  Initiator: 10.10.19.90, Responder: 198.51.100.76
  Connection lookup keyid: 1931784606

UDP VPLS:VPLS(VPLS): 198.51.100.3/4789 beproxy: 10.10.19.90/4816,
    flags -o, idle 0s, uptime 1Y25D, timeout 2m0s, bytes 7688943400093, Rx-RingNum 0, Internal-Data0/1
  Connection lookup keyid: 126607738
TCP outside: 198.51.100.100/80 inside: 10.10.0.7/36166,
    flags Ux , idle 21s, uptime 21s, timeout 1h0m
TCP outside:198.51.100.1/80 inside:10.10.0.7/1030 idle 0:00:05 bytes 1965 flags UIO
"""
XLATE = """\
3 in use, 5 most used
Flags: D - DNS, e - extended, I - identity, i - dynamic, r - portmap,
       s - static, T - twice, N - net-to-net
TCP PAT from inside:10.10.0.7/29853 to any:203.0.113.33/29853 flags ri idle 0:02:09 timeout 0:00:30
UDP PAT from inside:10.10.0.7/54676 to outside: 203.0.113.33/54676 flags ri idle 1:48:12 timeout 0:00:30
TCP PAT from inside:10.10.0.8/443 to outside:203.0.113.10/443
    flags s idle 0:02:30 timeout 0:00:00
NAT from dmz:10.20.0.50 to outside:203.0.113.100
    flags s idle 15:34:04 timeout 0:00:00

NAT from inside:10.10.0.50 to outside:203.0.113.144 flags i idle 0:02:51 timeout 3:00:00
"""
OLD_XLATE = """\
Global 203.0.113.10 Local 10.10.0.80 nconns 1 econns 0
Global 203.0.113.11 Local 10.10.0.81 nconns 3 econns 0
"""


def read(text: str, table: str, *inside: str) -> NatTable:
    assert isinstance(DRIVER, ReadsCapture)
    return DRIVER.read_capture([text.encode()], table, [ip_network(it) for it in inside])


def sessions(table: NatTable) -> dict[str, int]:
    return {str(usage.address): usage.sessions for usage in table.usages}


# --- whose it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "inside", "client"),
    [
        ("198.51.100.9:443 inside 10.10.0.7:51413", (), "10.10.0.7"),
        ("10.60.0.9:443 dmz 10.20.0.7:51413", (), "10.20.0.7"),
        ("10.60.0.9:443 dmz 10.20.0.7:51413", ("10.60.0.0/16",), "10.60.0.9"),
        ("198.51.100.9:443 dmz 203.0.113.7:51413", (), "203.0.113.7"),
    ],
)
def test_the_client_is_inside_where_that_is_known_else_not_at_the_interface_outside(
    ends: str, inside: tuple[str, ...], client: str
) -> None:
    assert sessions(read(CONN.format(ends), "conn", *inside)) == {client: 1}


@pytest.mark.parametrize("ends", ["198.51.100.9:443 outside 198.51.100.7:51413", "10.60.0.9:1 outside 10.60.0.8:2"])
def test_a_connection_without_a_client_is_nobodys(ends: str) -> None:
    table = read(CONN.format(ends), "conn")
    assert (table.entries, table.not_clients, table.usages) == (1, 1, ())


@pytest.mark.parametrize("ends", ["2001:db8::9.443 inside 2001:db8:1::7.5", "[2001:db8::9]:443 inside [2001:db8::7]:5"])
def test_a_connection_of_ipv6_is_counted_and_nobodys(ends: str) -> None:
    table = read(CONN.format(ends), "conn")
    assert (table.entries, table.not_clients, table.unparsed) == (1, 1, 0)


def asked_for_levels(conn: str) -> Replay:
    answers = {("ask", "show nameif"): NAMEIF, ("ask", "show conn"): f"2 in use, 3 most used\n{conn}"}
    return Replay(Device("gw1", "cisco_asa", Role.GATEWAY), frozenset({"cli"}), answers)


def test_the_client_is_at_the_interface_of_the_higher_level() -> None:
    """Of a connection between two interfaces of one level neither is."""
    rows = "TCP dmz 10.20.0.5:443 inside 10.10.0.8:50000, idle 1:00:05, bytes 27575949, flags UIO\n"
    rows += "TCP management 10.30.0.5:443 inside 10.10.0.8:50001, idle 0:00:05, bytes 12, flags UIO\n"
    assert isinstance(DRIVER, ReadsNat)
    (usage,) = DRIVER.nat(asked_for_levels(rows))
    assert (str(usage.address), usage.sessions, usage.bytes_in) == ("10.10.0.8", 1, 27575949)


def test_a_connection_on_an_interface_without_a_level_is_an_error() -> None:
    assert isinstance(DRIVER, ReadsNat)
    with pytest.raises(UnexpectedOutput, match="'guests'"):
        DRIVER.nat(asked_for_levels(CONN.format("198.51.100.9:443 guests 10.40.0.7:51413")))


def test_a_table_with_far_fewer_rows_than_promised_is_cut_short() -> None:
    row = CONN.format("198.51.100.9:443 inside 10.10.0.7:51413")
    assert read("2 in use, 9 most used\n" + row, "conn").complete
    assert not read("900 in use, 901 most used\n" + row, "conn").complete


# --- other tables ----------------------------------------------------------------------------------------------------


def test_detail_tells_the_same_and_ages() -> None:
    table = read(DETAIL, "conn", "10.10.0.0/16")
    by_address = {str(usage.address): usage for usage in table.usages}
    old, other = by_address["10.10.19.90"], by_address["10.10.0.7"]
    assert (table.entries, table.unparsed, table.complete) == (4, 0, True)
    assert (old.sessions, old.bytes_in, old.oldest_s, old.newest_s) == (2, 7688943414488, 33_696_000.0, 9_540.0)
    assert (other.sessions, other.bytes_in, other.unanswered_share) == (2, 1965, 0.0)


def test_a_detail_cut_after_its_first_line_is_told() -> None:
    assert not read(DETAIL.partition("\n")[0] + "\n", "conn").complete


def test_of_translations_only_ports_are_sessions() -> None:
    table = read(XLATE, "xlate")
    assert (sessions(table), table.unparsed, table.complete) == ({"10.10.0.7": 2}, 0, True)


def test_an_old_translation_says_how_many_connections_it_has() -> None:
    assert sessions(read(OLD_XLATE, "xlate")) == {"10.10.0.80": 1, "10.10.0.81": 3}


# --- what has to be prepared -----------------------------------------------------------------------------------------


def without(line: str) -> Callable[[], ConfiguredSwitch]:
    def model() -> ConfiguredSwitch:
        firewall = Model()
        firewall.running = {}
        firewall.type_in("\n".join(it for it in PREPARED.splitlines() if line not in it))
        return firewall

    return model


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("access-group", "is bound to no interface"),
        ("access-list", "no access list denies"),
        ("192.0.2.1", "lacks `network-object host 192.0.2.1`"),
    ],
)
def test_nothing_is_written_while_the_preparation_lacks_something(line: str, why: str) -> None:
    firewall = without(line)()
    with pytest.raises(DeviceError, match=why):
        cast(Enforces, DRIVER).push(firewall, [BLOCK])
    assert firewall.typed == []


@pytest.mark.parametrize(
    ("ending", "stands"),
    [("", Block(by="address")), (" log", Block(by="address")), (" log disable inactive", Block(by="mac"))],
)
def test_a_line_that_is_inactive_denies_nobody(ending: str, stands: Block) -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [BLOCK])
    shown = firewall.answers["show running-config"]
    line = "deny ip object-group SWITCHGUARD-BLOCK any"
    firewall.answers = {"show running-config": lambda it: shown(it).replace(line, f"{line}{ending}")}
    assert cast(Enforces, DRIVER).enforced(firewall) == {BLOCK.slot: stands}


@pytest.mark.parametrize(
    ("typed", "stands"),
    [
        ("no access-group inside_in in interface inside", Block(by="mac")),
        ("object-group network SWITCHGUARD-BLOCK\n no network-object host 192.0.2.1", Block(by="address")),
    ],
    ids=["not in force", "without the entry that stays"],
)
def test_what_is_in_the_group_is_told_and_can_be_released(typed: str, stands: Block) -> None:
    """Else it would be forgotten, and whoever is still in it be cut off for good, or again."""
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [BLOCK, OTHER])
    firewall.type_in(typed)
    assert cast(Enforces, DRIVER).enforced(firewall) == {BLOCK.slot: stands, OTHER.slot: stands}
    cast(Enforces, DRIVER).push(firewall, [Change(BLOCK.slot, stands, None)])
    assert cast(Enforces, DRIVER).enforced(firewall) == {OTHER.slot: stands}


def test_a_firewall_without_the_group_is_told_how_to_make_it() -> None:
    firewall = Model()
    firewall.running = {}
    firewall.type_in("access-group inside_in in interface inside")
    with pytest.raises(DeviceError, match="it has no `object-group network SWITCHGUARD-BLOCK`"):
        cast(Enforces, DRIVER).push(firewall, [BLOCK])


def test_the_last_release_leaves_the_administrators_entry() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [BLOCK])
    cast(Enforces, DRIVER).push(firewall, [BLOCK.inverse()])
    assert " network-object host 192.0.2.1" in firewall.text()


def test_the_administrators_entry_is_never_blocked_or_released() -> None:
    change = Change(Slot("sw1", "block", address=ip_address("192.0.2.1")), None, Block(by="address"))
    with pytest.raises(DeviceError, match="keeps SWITCHGUARD-BLOCK from being empty"):
        cast(Enforces, DRIVER).render([change])


def test_a_mac_cannot_be_blocked() -> None:
    with pytest.raises(DeviceError, match="cannot express"):
        cast(Enforces, DRIVER).render([Change(BLOCK.slot, None, Block(by="mac"))])


# --- caps and limits -------------------------------------------------------------------------------------------------


def lines_about(firewall: ConfiguredSwitch, word: str) -> list[str]:
    return [line.strip() for line in firewall.text().splitlines() if word in line]


def test_whoever_may_have_as_many_connections_shares_a_class() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP])
    cast(Enforces, DRIVER).push(firewall, [OTHER_CAP])
    assert lines_about(firewall, "CAP-200") == [
        "access-list SWITCHGUARD-CAP-200 extended permit ip host 10.10.0.7 any",
        "access-list SWITCHGUARD-CAP-200 extended permit ip host 10.10.0.8 any",
        "class-map SWITCHGUARD-CAP-200",
        "match access-list SWITCHGUARD-CAP-200",
        "class SWITCHGUARD-CAP-200",
    ]


def test_a_cap_that_is_tightened_leaves_the_others_where_they_are() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP, OTHER_CAP])
    cast(Enforces, DRIVER).push(firewall, [Change(CAP.slot, CAP.after, SessionCap(50))])
    stands = cast(Enforces, DRIVER).enforced(firewall)
    assert stands == {CAP.slot: SessionCap(50), OTHER_CAP.slot: SessionCap(200)}


def test_nobody_is_without_a_cap_while_it_changes() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP, OTHER_CAP])
    cast(Enforces, DRIVER).push(firewall, [Change(CAP.slot, CAP.after, SessionCap(50))])
    typed = [line.strip() for line in firewall.typed[-1]]
    assert typed[-1] == "no access-list SWITCHGUARD-CAP-200 extended permit ip host 10.10.0.7 any"
    assert "set connection per-client-max 50" in typed


def test_a_release_makes_no_policy_where_none_is_applied() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP, OTHER_CAP])
    firewall.type_in("no service-policy global_policy global")
    cast(Enforces, DRIVER).push(firewall, [CAP.inverse()])
    assert cast(Enforces, DRIVER).enforced(firewall) == {OTHER_CAP.slot: SessionCap(0)}


def test_the_last_release_leaves_nothing_of_ours_in_the_policy() -> None:
    firewall = Model()
    start = firewall.text()
    cast(Enforces, DRIVER).push(firewall, [CAP, OTHER_CAP, LIMIT])
    cast(Enforces, DRIVER).push(firewall, [CAP.inverse(), OTHER_CAP.inverse(), LIMIT.inverse()])
    assert firewall.text() == start


def test_a_limit_is_for_both_directions_with_a_burst_of_one_and_a_half_seconds() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [LIMIT])
    assert lines_about(firewall, "permit ip") == [
        "access-list SWITCHGUARD-LIMIT-10.10.0.7 extended permit ip any host 10.10.0.7",
        "access-list SWITCHGUARD-LIMIT-10.10.0.7 extended permit ip host 10.10.0.7 any",
    ]
    assert lines_about(firewall, "police") == ["police input 64000 12000"]


FOREIGN_CLASS = """\
access-list SSH extended permit ip any any
class-map SSH
 match access-list SSH
policy-map global_policy
 class SSH
  set connection timeout idle 0:30:00
  police input 8000000 1500000"""
FOREIGN_POLICY = """\
policy-map INSIDE
 class inspection_default
  set connection per-client-max 1000
  police input 8000000 1500000
service-policy INSIDE interface inside"""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("no service-policy global_policy global", "no policy is applied to all interfaces"),
        (FOREIGN_CLASS, "class SSH of global_policy decides about .* before a class of ours would"),
        (FOREIGN_POLICY, "INSIDE, the policy of inside, decides about .* instead of the global one"),
    ],
)
@pytest.mark.parametrize("change", [CAP, LIMIT], ids=["cap", "limit"])
def test_where_somebody_elses_policy_would_decide_nothing_is_written(lines: str, why: str, change: Change) -> None:
    firewall = Model()
    firewall.type_in(lines)
    with pytest.raises(DeviceError, match=why):
        cast(Enforces, DRIVER).push(firewall, [change])
    assert firewall.typed == []


def test_what_is_overruled_later_is_not_in_force_but_can_be_released() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP, LIMIT])
    firewall.type_in(FOREIGN_POLICY)
    assert cast(Enforces, DRIVER).enforced(firewall) == {CAP.slot: SessionCap(0), LIMIT.slot: RateLimit(0)}
    cast(Enforces, DRIVER).push(firewall, [CAP.inverse(), LIMIT.inverse()])
    assert cast(Enforces, DRIVER).enforced(firewall) == {}


def test_a_class_that_the_administrator_adds_later_comes_behind_ours() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP, LIMIT])
    firewall.type_in(FOREIGN_CLASS)
    assert cast(Enforces, DRIVER).enforced(firewall) == {CAP.slot: CAP.after, LIMIT.slot: LIMIT.after}


def test_a_policy_that_is_applied_no_more_is_cleared_of_ours() -> None:
    firewall = Model()
    cast(Enforces, DRIVER).push(firewall, [CAP])
    firewall.type_in("policy-map NEW\n class inspection_default\nno service-policy global_policy global")
    firewall.type_in("service-policy NEW global")
    assert cast(Enforces, DRIVER).enforced(firewall) == {CAP.slot: SessionCap(0)}
    cast(Enforces, DRIVER).push(firewall, [CAP])
    assert cast(Enforces, DRIVER).enforced(firewall) == {CAP.slot: CAP.after}
    assert firewall.text().count(" class SWITCHGUARD-CAP-200") == 1


def test_an_entry_of_somebody_else_in_a_list_of_ours_is_an_error() -> None:
    firewall = Model()
    firewall.type_in("access-list SWITCHGUARD-CAP-200 extended permit ip 10.0.0.0 255.0.0.0 any")
    with pytest.raises(UnexpectedOutput, match="that we did not make"):
        cast(Enforces, DRIVER).enforced(firewall)


@pytest.mark.parametrize(
    ("penalty", "address"),
    [
        (SessionCap(0), "10.10.0.7"),
        (SessionCap(2_000_001), "10.10.0.7"),
        (RateLimit(7_999), "10.10.0.7"),
        (RateLimit(64_000, within=1), "10.10.0.7"),
        (RateLimit(64_000), "2001:db8::7"),
    ],
)
def test_what_a_service_policy_cannot_express_is_refused(penalty: SessionCap | RateLimit, address: str) -> None:
    change = Change(Slot("sw1", penalty.kind, address=ip_address(address)), None, penalty)
    with pytest.raises(DeviceError, match="cannot express"):
        cast(Enforces, DRIVER).render([change])


# --- connections that are ended --------------------------------------------------------------------------------------


def asked(**answers: str) -> Replay:
    said = {("ask", f"clear conn address {words}"): answer for words, answer in answers.items()}
    return Replay(Device("gw1", "cisco_asa", Role.GATEWAY), frozenset({"cli"}), said)


def test_connections_of_an_address_or_a_subnet_are_ended_and_counted() -> None:
    session = asked(
        **{"10.10.0.7": "2 connection(s) deleted.", "10.20.0.0 netmask 255.255.255.0": "40 connection(s) deleted."}
    )
    assert isinstance(DRIVER, ClearsSessions)
    assert DRIVER.clear_sessions(session, [ip_address("10.10.0.7"), ip_network("10.20.0.0/24")]) == 42


def test_an_answer_without_a_number_is_an_error() -> None:
    assert isinstance(DRIVER, ClearsSessions)
    with pytest.raises(UnexpectedOutput):
        DRIVER.clear_sessions(asked(**{"10.10.0.7": "ok"}), [ip_address("10.10.0.7")])


def test_a_device_that_would_empty_the_group_refuses() -> None:
    """What our model is worth: the real one refuses this, so the entry that stays is needed."""
    firewall = Model()
    with pytest.raises(CommandRefused):
        firewall.configure(["object-group network SWITCHGUARD-BLOCK", " no network-object host 192.0.2.1"])
