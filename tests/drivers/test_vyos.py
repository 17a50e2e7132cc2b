"""VyOS where no recording reaches: releases before 1.4, somebody else's lines, and tables that somebody saved."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv6Address, ip_network
from typing import Protocol, cast

import pytest
from model_vyos import BEFORE, BY_ADDRESS, VERSION, Model, change
from replay import RECORDINGS, Replay

from switchguard import plugins
from switchguard.core.changes import Change
from switchguard.core.model import Device, Network, Role
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.lab.frontends.grammar_vyos import OLD as PATTERNS_OF_1_3
from switchguard.ports import ClearsSessions, Enforces, NatTable, ReadsCapture, ReadsNat


class Everything(ReadsNat, ReadsCapture, Enforces, ClearsSessions, Protocol):
    """What is tested here."""


DRIVER = cast(Everything, plugins.driver("vyos"))
MAC = "02:00:00:00:00:07"


def undone(changes: Sequence[Change]) -> list[Change]:
    return [it.inverse() for it in changes]


# --- writing ---------------------------------------------------------------------------------------------------------


def test_the_first_block_brings_the_rules_and_the_last_takes_them_away() -> None:
    router = Model()
    start = router.running
    block = [change(Block(), MAC)]
    DRIVER.push(router, block)
    assert ("firewall", "ipv6", "forward", "filter", "rule", "1", "jump-target", "SWITCHGUARD") in router.running
    DRIVER.push(router, undone(block))
    assert router.running == start


def test_nothing_is_deleted_leaf_by_leaf() -> None:
    """A rule that lost its action would not be committed."""
    lines = DRIVER.render(undone([change(BY_ADDRESS, "10.10.0.7")]))
    assert lines == (
        "delete firewall group address-group SWITCHGUARD",
        "delete firewall ipv4 forward filter rule 1",
        "delete firewall ipv4 name SWITCHGUARD",
    )


def test_a_released_client_leaves_the_others_where_they_are() -> None:
    router = Model()
    one, two = change(BY_ADDRESS, "10.10.0.7"), change(BY_ADDRESS, "10.10.0.8")
    DRIVER.push(router, [one, two])
    diff = DRIVER.push(router, undone([one]))
    assert diff.text == "-set firewall group address-group SWITCHGUARD address 10.10.0.7"
    assert dict(DRIVER.enforced(router)) == {two.slot: BY_ADDRESS}


def test_a_new_rate_keeps_the_class() -> None:
    router = Model()
    DRIVER.push(router, [change(RateLimit(64_000), "10.10.0.7"), change(RateLimit(64_000), "10.10.0.8")])
    diff = DRIVER.push(router, [change(RateLimit(128_000), "10.10.0.7")])
    assert "+set qos policy shaper SWITCHGUARD-DOWN class 2 ceiling 128kbit" in diff.text
    assert "match" not in diff.text


@pytest.mark.parametrize(
    ("line", "who", "why"),
    [
        ("set firewall ipv4 forward filter rule 1 action accept", Block(), "rule 1 of firewall ipv4 forward filter"),
        ("set firewall ipv6 forward filter rule 1 action accept", Block(), "rule 1 of firewall ipv6 forward filter"),
        ("set qos interface eth2 ingress OTHER", RateLimit(64_000), "eth2 has the ingress policy OTHER"),
    ],
)
def test_where_somebody_else_is_in_the_way_nothing_is_written(line: str, who: Penalty, why: str) -> None:
    other = "set qos policy limiter OTHER class 1 bandwidth 1mbit\n"
    router = Model(f"{BEFORE}{other}{line}\n")
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(router, [change(who, MAC if who == Block() else "10.10.0.7")])
    assert router.typed == []


def test_a_rule_that_somebody_took_is_not_deleted_by_a_release() -> None:
    router = Model()
    blocks = [change(BY_ADDRESS, "10.10.0.7"), change(Block(), MAC)]
    DRIVER.push(router, blocks)
    router.configure(["set firewall ipv4 forward filter rule 1 description mine"])
    assert list(DRIVER.enforced(router).values()) == [Block("mac"), Block("address")]
    theirs = [line for line in router.running if line[:3] == ("firewall", "ipv4", "forward") and line[5] == "1"]
    DRIVER.push(router, [*undone(blocks), change(BY_ADDRESS, "2001:db8::7")])
    assert {*theirs} <= router.running


def test_members_that_no_rule_looks_at_are_shown_and_can_be_released() -> None:
    router = Model()
    restricted = change(RestrictPorts(), "10.10.0.7")
    DRIVER.push(router, [restricted])
    router.configure(["delete firewall ipv4 name SWITCHGUARD rule 101024"])
    ((slot, damaged),) = DRIVER.enforced(router).items()
    assert (slot, damaged) == (restricted.slot, RestrictPorts(65_535))
    DRIVER.push(router, [Change(slot, damaged, None)])
    assert "SWITCHGUARD" not in router.text()


@pytest.mark.parametrize(
    "typed", ["rule 5 action accept", "rule 10 source address 10.10.0.0/24"], ids=["a rule before", "a narrower one"]
)
def test_what_lets_members_through_is_found_and_taken_out_with_the_next_push(typed: str) -> None:
    router = Model()
    one, two = change(Block(), MAC), change(Block(), "02:00:00:00:00:08")
    DRIVER.push(router, [one, two])
    whole = router.text()
    router.configure([f"set firewall ipv4 name SWITCHGUARD {typed}"])
    assert set(DRIVER.enforced(router).values()) == {Block("address")}
    DRIVER.push(router, [one])
    assert router.text() == whole


def test_a_description_lets_nobody_through() -> None:
    router = Model()
    block = change(Block(), MAC)
    DRIVER.push(router, [block])
    router.configure(["set firewall ipv4 name SWITCHGUARD rule 10 description 'see the desk'"])
    assert dict(DRIVER.enforced(router)) == {block.slot: Block()}


@pytest.mark.parametrize(
    "typed",
    [
        ("action drop", "source group mac-group SWITCHGUARD"),
        ("action jump", "jump-target SWITCHGUARD"),
    ],
    ids=["group", "ruleset"],
)
def test_what_somebody_elses_rule_refers_to_outlives_the_last_member(typed: Sequence[str]) -> None:
    """Without it no commit would go through, and nobody could be released any more."""
    router = Model()
    block = change(Block(), MAC)
    DRIVER.push(router, [block])
    router.configure([f"set firewall ipv4 forward filter rule 15 {line}" for line in typed])
    DRIVER.push(router, [block.inverse()])
    assert dict(DRIVER.enforced(router)) == {}
    assert MAC not in router.text()
    DRIVER.push(router, [block])
    assert dict(DRIVER.enforced(router)) == {block.slot: Block()}


def test_other_ports_take_the_place_of_those_before() -> None:
    router = Model()
    DRIVER.push(router, [change(RestrictPorts(80), "10.10.0.7")])
    diff = DRIVER.push(router, [change(RestrictPorts(443), "10.10.0.7")])
    assert "-set firewall group address-group SWITCHGUARD-PORTS-80 address 10.10.0.7" in diff.text
    assert dict(DRIVER.enforced(router)) == {change(RestrictPorts(), "10.10.0.7").slot: RestrictPorts(443)}


def test_a_client_whose_ports_are_restricted_twice_is_repaired() -> None:
    router = Model()
    DRIVER.push(router, [change(RestrictPorts(80), "10.10.0.7"), change(RestrictPorts(443), "10.10.0.8")])
    router.configure(["set firewall group address-group SWITCHGUARD-PORTS-443 address 10.10.0.7"])
    wanted = change(RestrictPorts(443), "10.10.0.7")
    assert DRIVER.enforced(router)[wanted.slot] == RestrictPorts(65_535)
    DRIVER.push(router, [wanted])
    assert set(DRIVER.enforced(router).values()) == {RestrictPorts(443)}


@pytest.mark.parametrize(("most", "beyond"), [(0, "1-65535"), (1024, "1025-65535"), (65_534, "65535")])
def test_the_ports_beyond_are_dropped(most: int, beyond: str) -> None:
    lines = DRIVER.render([change(RestrictPorts(most), "10.10.0.7")])
    assert f"set firewall ipv4 name SWITCHGUARD rule {100_000 + most} destination port {beyond}" in lines


@pytest.mark.parametrize(
    "penalty",
    [
        SessionCap(100),
        RateLimit(999),
        RateLimit(64_001),
        RateLimit(64_000, 10**6),
        RestrictPorts(65_535),
        RestrictPorts(-1),
        Block(),
    ],
)
def test_what_vyos_cannot_express_is_refused(penalty: Penalty) -> None:
    with pytest.raises(DeviceError, match="cannot express"):
        DRIVER.render([change(penalty, "10.10.0.7")])


def test_it_never_types_what_ends_in_a_reboot() -> None:
    router = Model()
    DRIVER.push(router, [change(Block(), MAC), change(RateLimit(64_000), "10.10.0.7")])
    assert not [line for line in router.typed[0] if not line.startswith(("set ", "delete "))]


# --- before 1.4 ------------------------------------------------------------------------------------------------------

OLD = VERSION.replace("1.4.0", "1.3.4")
RULE = "set firewall name LAN-IN rule 1 action 'drop'\n"
LOOKS = "set firewall name LAN-IN rule 1 source group address-group 'SWITCHGUARD'\n"


WAN = """\
set system host-name gw1
set interfaces ethernet eth1 address 10.10.0.1/24
set traffic-policy shaper WAN bandwidth 200mbit
set traffic-policy shaper WAN default bandwidth 100%
set interfaces ethernet eth0 traffic-policy out WAN
"""


def test_whatever_an_address_holds_is_one_word_of_the_command() -> None:
    command = "sudo conntrack -D -f ipv6 -s '2001:db8::1%a;reboot'"
    told = {("ask", command): "conntrack v1.4.7 (conntrack-tools): 2 flow entries have been deleted.\n"}
    router = Replay(Device("gw1", "vyos", Role.GATEWAY), frozenset({"cli"}), told)
    assert DRIVER.clear_sessions(router, [IPv6Address("2001:db8::1%a;reboot")]) == 2


class Old(Model):
    """A router of 1.3, its administrator's rules, and the groups that he made for them, empty as yet."""

    def __init__(self, rules: str, lan: tuple[str, ...] = ("eth1", "eth2.20")) -> None:
        super().__init__(WAN + rules, OLD, PATTERNS_OF_1_3)
        groups = ("SWITCHGUARD", "SWITCHGUARD-PORTS-1024")
        self.running |= {("firewall", "group", "address-group", name) for name in groups}
        self.device = replace(self.device, lan_interfaces=lan)


def test_before_1_4_only_members_are_written() -> None:
    router = Old(RULE + LOOKS)
    block = [change(BY_ADDRESS, "10.10.0.7")]
    diff = DRIVER.push(router, block)
    assert diff.text == "+set firewall group address-group SWITCHGUARD address 10.10.0.7"
    assert dict(DRIVER.enforced(router)) == {block[0].slot: BY_ADDRESS}
    DRIVER.push(router, undone(block))
    assert "delete firewall group address-group SWITCHGUARD address '10.10.0.7'" in router.typed[-1]
    assert ("firewall", "group", "address-group", "SWITCHGUARD") in router.running


@pytest.mark.parametrize(
    "rules",
    ["", LOOKS, LOOKS + RULE.replace("drop", "accept"), RULE + LOOKS + "set firewall name LAN-IN rule 1 disable\n"],
    ids=["no rule", "no action", "accepts", "disabled"],
)
def test_before_1_4_nothing_is_written_where_no_rule_drops(rules: str) -> None:
    with pytest.raises(DeviceError, match="no rule of the firewall drops what comes from address-group SWITCHGUARD"):
        DRIVER.push(Old(rules), [change(BY_ADDRESS, "10.10.0.7")])


TO_HIGH_PORTS = """\
set firewall name LAN-IN rule 2 action 'drop'
set firewall name LAN-IN rule 2 destination port '1025-65535'
set firewall name LAN-IN rule 2 protocol 'tcp_udp'
set firewall name LAN-IN rule 2 source group address-group 'SWITCHGUARD-PORTS-1024'
"""


def test_before_1_4_ports_are_restricted_where_a_rule_does() -> None:
    router = Old(TO_HIGH_PORTS)
    restricted = [change(RestrictPorts(), "10.10.0.7")]
    diff = DRIVER.push(router, restricted)
    assert diff.text == "+set firewall group address-group SWITCHGUARD-PORTS-1024 address 10.10.0.7"
    assert dict(DRIVER.enforced(router)) == {restricted[0].slot: RestrictPorts()}
    DRIVER.push(router, undone(restricted))
    assert DRIVER.enforced(router) == {}


@pytest.mark.parametrize(
    "rules",
    ["", TO_HIGH_PORTS.replace("1025", "2048"), TO_HIGH_PORTS.replace("tcp_udp", "tcp"), RULE + LOOKS],
    ids=["no rule", "other ports", "TCP only", "blocks"],
)
def test_before_1_4_no_ports_are_restricted_where_no_rule_does(rules: str) -> None:
    why = "drops what goes from address-group SWITCHGUARD-PORTS-1024 to ports 1025-65535; it would do nothing"
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(Old(rules), [change(RestrictPorts(), "10.10.0.7")])


def test_before_1_4_no_mac_is_blocked() -> None:
    with pytest.raises(DeviceError, match="there are no groups of MACs; block the address instead"):
        DRIVER.push(Old(RULE + LOOKS), [change(Block(), MAC)])


OLD_CHANGES = (
    (change(BY_ADDRESS, "10.10.0.7"), change(BY_ADDRESS, "10.10.0.8")),
    (change(RestrictPorts(), "10.10.0.7"), change(BY_ADDRESS, "10.10.0.7")),
    (change(RateLimit(64_000), "10.10.0.7"), change(RateLimit(2_000_000), "10.10.0.8")),
    (change(RateLimit(64_000), "2001:db8:10::7"), change(RestrictPorts(), "10.10.0.8")),
)


@pytest.mark.parametrize("changes", OLD_CHANGES)
def test_before_1_4_what_is_pushed_is_enforced_once_and_can_be_taken_back(changes: Sequence[Change]) -> None:
    router = Old(RULE + LOOKS + TO_HIGH_PORTS)
    start = router.running
    DRIVER.push(router, changes)
    assert dict(DRIVER.enforced(router)) == {it.slot: it.after for it in changes}
    assert DRIVER.push(router, changes).text == ""
    DRIVER.push(router, undone(changes))
    assert router.running == start


def test_before_1_4_a_limit_is_a_traffic_policy_of_each_lan_interface() -> None:
    router = Old("")
    DRIVER.push(router, [change(RateLimit(64_000), "10.10.0.7")])
    assert {line for line in router.running if line[-1].startswith("SWITCHGUARD-") and line[0] == "interfaces"} == {
        ("interfaces", "ethernet", "eth1", "traffic-policy", "in", "SWITCHGUARD-UP"),
        ("interfaces", "ethernet", "eth1", "traffic-policy", "out", "SWITCHGUARD-DOWN"),
        ("interfaces", "ethernet", "eth2", "vif", "20", "traffic-policy", "in", "SWITCHGUARD-UP"),
        ("interfaces", "ethernet", "eth2", "vif", "20", "traffic-policy", "out", "SWITCHGUARD-DOWN"),
    }


@pytest.mark.parametrize(
    ("router", "why"),
    [
        (Old("", ()), "the site names no lan_interfaces"),
        (Old("", ("eth0",)), "eth0 has the egress policy WAN of somebody else"),
        (Old("", ("wg0",)), "it is not known what kind of interface wg0 is"),
        (Old("set interfaces ethernet eth1 redirect ifb0\n"), "eth1 mirrors or redirects what comes in"),
    ],
    ids=["no LAN", "taken", "strange", "redirected"],
)
def test_before_1_4_no_limit_is_written_where_something_is_in_the_way(router: Model, why: str) -> None:
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(router, [change(RateLimit(64_000), "10.10.0.7")])
    assert router.typed == []


@pytest.mark.parametrize("router", [Model(), Old("")], ids=["1.4", "1.3"])
def test_limits_stay_in_force_when_the_site_no_longer_names_the_lan(router: Model) -> None:
    one, two = change(RateLimit(64_000), "10.10.0.7"), change(RateLimit(64_000), "10.10.0.8")
    DRIVER.push(router, [one, two])
    bound = {line for line in router.running if line[-1].startswith("SWITCHGUARD-")}
    router.device = replace(router.device, lan_interfaces=())
    assert dict(DRIVER.enforced(router)) == {it.slot: it.after for it in (one, two)}
    DRIVER.push(router, [two.inverse()])
    assert dict(DRIVER.enforced(router)) == {one.slot: RateLimit(64_000)}
    assert bound <= router.running


def test_before_1_4_limits_are_of_one_family() -> None:
    router = Old("")
    DRIVER.push(router, [change(RateLimit(64_000), "10.10.0.7")])
    with pytest.raises(DeviceError, match="a limiter is for addresses of IPv4 or of IPv6, not for both"):
        DRIVER.push(router, [change(RateLimit(64_000), "2001:db8:10::7")])
    assert len(router.typed) == 1


@pytest.mark.parametrize("version", ["1.4.0", "1.5-rolling-202409250007", "2025.09.10-0018-rolling"])
def test_later_releases_have_the_new_firewall(version: str) -> None:
    router = Model(version=VERSION.replace("1.4.0", version))
    DRIVER.push(router, [change(Block(), MAC)])
    assert list(DRIVER.enforced(router).values()) == [Block()]


def test_another_system_is_an_error() -> None:
    with pytest.raises(UnexpectedOutput, match="no version of VyOS"):
        DRIVER.enforced(Model(version="Version:      v2.0.9-hotfix.7\nHW model:     EdgeRouter X 5-Port\n"))


# --- sessions --------------------------------------------------------------------------------------------------------


def test_deleted_sessions_are_counted() -> None:
    session = Replay.load(RECORDINGS / "vyos" / "nat" / "nothing")
    command = "sudo conntrack -D -f ipv4 -s 10.10.0.0/24"
    session.answers["ask", command] = (
        "tcp 6 1 ...\nconntrack v1.4.7 (conntrack-tools): 1 flow entries have been deleted."
    )
    assert DRIVER.clear_sessions(session, [ip_network("10.10.0.0/24")]) == 1


def test_a_table_that_lost_a_row_is_an_error() -> None:
    session = Replay.load(RECORDINGS / "vyos" / "nat" / "both_families")
    question = ("ask", "sudo conntrack -L -o extended -f ipv4")
    session.answers[question] = session.answers[question].partition("\n")[2]
    with pytest.raises(UnexpectedOutput, match="rows"):
        DRIVER.nat(session)


# --- saved tables ----------------------------------------------------------------------------------------------------

VYATTA = """\
TCP state codes: SS - SYN SENT, SR - SYN RECEIVED, ES - ESTABLISHED,
                 FW - FIN WAIT, CW - CLOSE WAIT, LA - LAST ACK,
                 TW - TIME WAIT, CL - CLOSE, LI - LISTEN

CONN ID    Source                 Destination            Protocol         TIMEOUT
1015736576 10.10.0.7:58172        198.18.0.12:22         tcp [6] ES       430279
1006235648 10.10.0.7:57483        198.18.0.13:6881       tcp [6] SS       13
1006237088 10.10.0.8              198.18.0.14            icmp [1]         29
1015734272 198.18.0.15:60286      10.10.0.8:6881         udp [17]         29
"""
EARLY = """\
Connection id    Source              Destination         Protocol    State        Timeout
---------------  ------------------  ------------------  ----------  -----------  ---------
3409467955       10.10.0.7:50112     198.18.0.1:443      tcp         ESTABLISHED  431999
2033666077       10.10.0.7:68        198.18.0.2:67       udp                      19
"""
BOTH_WAYS = """\
Id          Original src          Original dst     Reply src        Reply dst             Protocol  State  Timeout  Mark
----------  --------------------  ---------------  ---------------  --------------------  --------  -----  -------  ----
3409467955  10.10.0.7:50112       198.18.0.1:443   198.18.0.1:443   203.0.113.5:50112     tcp  ESTABLISHED  431999  0
2033666077  198.18.0.9:40000      203.0.113.5:808  10.10.0.8:80     198.18.0.9:40000      tcp  SYN_SENT  19  0  1
2033666078  10.10.0.7             198.18.0.3       198.18.0.3       203.0.113.5           icmp             19       0
2033666079  2001:db8:10::7:50112  2001:db8::1:443  2001:db8::1:443  2001:db8:10::7:50112  tcp  ESTABLISHED  19  0
"""
TRANSLATIONS = "\n".join(
    (
        "Pre-NAT              Post-NAT             Prot  Timeout  ",
        "10.10.0.7            203.0.113.5          icmp  24       ",
        "10.10.0.8:7553       203.0.113.5:7553     icmp  48",
        "10.10.0.7:123        203.0.113.5:123      udp   19       \n",
    )
)
WITH_MARKS = """\
Pre-NAT         Post-NAT           Proto    Timeout    Mark    Zone
--------------  -----------------  -------  ---------  ------  ------
10.10.0.7:5000  203.0.113.5:5000   tcp      431999     0
"""


def read(text: str, table: str, inside: Sequence[Network] = ()) -> NatTable:
    capture = DRIVER.captures[table]
    assert any(capture.row.match(line) for line in text.splitlines())
    return DRIVER.read_capture([text.encode()], table, inside)


def clients(table: NatTable) -> dict[str, tuple[int, int]]:
    assert (table.unparsed, table.complete) == (0, True)
    return {str(usage.address): (usage.sessions, usage.remotes) for usage in table.usages}


def test_the_table_of_vyatta_tells_states_by_two_letters() -> None:
    table = read(VYATTA, "conntrack")
    assert clients(table) == {"10.10.0.7": (2, 2), "10.10.0.8": (2, 2)}
    assert [usage.unanswered_share for usage in table.usages] == [0.5, None]


def test_the_early_table_of_1_4_has_rows_without_a_state() -> None:
    assert clients(read(EARLY, "conntrack")) == {"10.10.0.7": (2, 2)}


def test_the_later_table_of_1_4_tells_who_was_meant() -> None:
    told = clients(read(BOTH_WAYS, "conntrack"))
    assert told == {"10.10.0.7": (2, 2), "10.10.0.8": (1, 1), "2001:db8:10::7": (1, 1)}


@pytest.mark.parametrize(
    ("text", "sessions"),
    [(TRANSLATIONS, {"10.10.0.7": (2, 0), "10.10.0.8": (1, 0)}), (WITH_MARKS, {"10.10.0.7": (1, 0)})],
)
def test_translations_tell_no_remote_hosts(text: str, sessions: dict[str, tuple[int, int]]) -> None:
    assert clients(read(text, "translations")) == sessions


def test_networks_inside_may_be_named() -> None:
    table = read(VYATTA, "conntrack", [ip_network("198.18.0.0/16")])
    assert clients(table).keys() == {"198.18.0.12", "198.18.0.13", "198.18.0.14", "198.18.0.15"}


def test_a_line_that_is_no_row_is_counted() -> None:
    broken = f"{VYATTA}1015736576 10.10.0.777:58172 198.18.0.12:22 tcp [6] ES 430279\n1015736577 10.10.0.7:1\n"
    table = DRIVER.read_capture([broken.encode()], "conntrack", ())
    assert (table.entries, table.unparsed) == (4, 2)
    assert [number for number, _ in table.samples] == [10, 11]


def test_a_group_without_a_name_is_none() -> None:
    recorded = Replay.load(RECORDINGS / "vyos/enforced/somebody_has_rule_1")
    cut = {
        question: text.replace(" address-group SERVERS address '10.10.0.2'", "")
        for question, text in recorded.answers.items()
    }
    damaged = replace(recorded, answers=cut)
    assert cut != recorded.answers
    driver = cast(Enforces, plugins.driver("vyos"))
    assert driver.enforced(damaged) == driver.enforced(recorded)
