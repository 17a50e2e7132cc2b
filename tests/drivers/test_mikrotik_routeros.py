"""RouterOS: where our rules stand among others', what they are worth, and tables in forms that recordings lack."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from model_mikrotik_routeros import (
    BLOCK,
    BY_ADDRESS,
    BY_IPV6,
    CAP,
    LIMIT,
    MAC,
    OTHER_BLOCK,
    SNOOPING,
    SOMEBODYS,
    Router,
    switch,
)

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Role, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.lab.frontends.routeros_console import EMPTY, Console, Item, Refused, printed

DRIVER: Any = plugins.driver("mikrotik_routeros")
FILTER, RAW, BRIDGE, QUEUE = "/ip firewall filter", "/ip firewall raw", "/interface bridge filter", "/queue simple"
CHIP = "/interface ethernet switch rule"
FASTTRACK = Item({"chain": "forward", "action": "fasttrack-connection"})
CONNECTIONS = "/ip firewall connection"


def comments(router: Router, menu: str) -> list[str]:
    return [item.fields.get("comment", "") for item in router.lists[menu]]


def refuse() -> str:
    raise Refused("bad command name ipv6 (line 1 column 2)")


def without_ipv6() -> Router:
    lists = ("raw", "filter")
    return Router(answers={f"/ipv6 firewall {name} print terse without-paging": refuse for name in lists})


# --- writing ---------------------------------------------------------------------------------------------------------


def test_our_rules_stand_before_everybody_elses() -> None:
    router = Router()
    DRIVER.push(router, [BLOCK, CAP, LIMIT])
    assert comments(router, BRIDGE) == [f"switchguard:block:{MAC}"] * 2 + ["the hall"]
    assert comments(router, FILTER) == ["special dummy rule", "switchguard:cap:10.10.0.7", ""]
    assert comments(router, QUEUE) == ["switchguard:limit:10.10.0.7", ""]


def test_others_rules_are_left_alone() -> None:
    router = Router()
    DRIVER.push(router, [BLOCK, CAP, LIMIT, BY_ADDRESS])
    DRIVER.push(router, [it.inverse() for it in (BLOCK, CAP, LIMIT, BY_ADDRESS)])
    assert router.lists == SOMEBODYS


def test_half_a_block_is_no_block_and_is_made_whole() -> None:
    router = Router()
    DRIVER.push(router, [BLOCK])
    router.lists = {**router.lists, BRIDGE: router.lists[BRIDGE][1:]}
    assert DRIVER.enforced(router)[BLOCK.slot] != BLOCK.after
    DRIVER.push(router, [BLOCK])
    assert DRIVER.enforced(router) == {BLOCK.slot: BLOCK.after}


def test_half_a_block_is_released_as_well() -> None:
    router = Router()
    DRIVER.push(router, [BLOCK])
    router.lists = {**router.lists, BRIDGE: router.lists[BRIDGE][1:]}
    DRIVER.push(router, [BLOCK.inverse()])
    assert router.lists == SOMEBODYS


def test_a_disabled_rule_enforces_nothing() -> None:
    router = Router()
    DRIVER.push(router, [CAP])
    ours = router.lists[FILTER][1]
    router.lists = {**router.lists, FILTER: (Item(ours.fields, "X"),)}
    assert DRIVER.enforced(router)[CAP.slot] != CAP.after


def test_a_limit_that_grows_is_replaced() -> None:
    router = Router()
    DRIVER.push(router, [LIMIT])
    DRIVER.push(router, [Change(LIMIT.slot, LIMIT.after, RateLimit(1_500_000))])
    assert [item.fields["max-limit"] for item in router.lists[QUEUE]] == ["1500k/1500k", "200M/200M"]


def test_a_limit_that_fasttrack_would_pass_is_refused() -> None:
    router = Router({**EMPTY, FILTER: (FASTTRACK,)})
    with pytest.raises(DeviceError, match="rule 0 of /ip firewall filter fasttracks connections, past every queue"):
        DRIVER.push(router, [LIMIT])
    assert router.typed == []


def test_a_gateway_without_ipv6_blocks_what_it_routes() -> None:
    router = without_ipv6()
    DRIVER.push(router, [BLOCK])
    assert DRIVER.enforced(router) == {BLOCK.slot: BLOCK.after}
    with pytest.raises(DeviceError, match="IPv6 is not installed"):
        DRIVER.push(router, [BY_IPV6])


@pytest.mark.parametrize("mac", ["01:00:5e:00:00:01", "00:00:00:00:00:00"])
def test_only_a_station_is_blocked(mac: str) -> None:
    slot = Slot("gw1", "block", Station(mac=Mac.parse(mac)))
    with pytest.raises(DeviceError, match="cannot express"):
        DRIVER.render([Change(slot, None, Block())])


OTHERS = ("", "block:it", "why:10.0.0.1", "block:02-00-00-00-00-07", "block:fd00:0::1")


def test_a_comment_that_only_begins_like_ours_is_somebody_elses() -> None:
    rows = tuple(Item({"comment": f"switchguard:{it}", "chain": "forward"}) for it in OTHERS)
    assert DRIVER.enforced(Router({**EMPTY, FILTER: rows})) == {}


@pytest.mark.parametrize("whom", ["block:01:00:5e:00:00:01", "block:2001:db8::7"])
def test_a_rule_with_our_comment_that_we_would_never_add_can_be_released(whom: str) -> None:
    router = Router({**EMPTY, RAW: (Item({"comment": f"switchguard:{whom}", "chain": "prerouting"}),)})
    (slot, penalty), *_ = DRIVER.enforced(router).items()
    DRIVER.push(router, [Change(slot, penalty, None)])
    assert router.lists == EMPTY


def test_the_lines_of_a_block() -> None:
    assert DRIVER.render([BLOCK])[1:3] == (
        "/interface bridge filter add chain=forward dst-mac-address=02:00:00:00:00:07/FF:FF:FF:FF:FF:FF action=drop "
        f'comment="switchguard:block:{MAC}"',
        "/ip firewall raw add chain=prerouting src-mac-address=02:00:00:00:00:07 action=drop "
        f'comment="switchguard:block:{MAC}"',
    )


# --- switch chips ----------------------------------------------------------------------------------------------------


def test_what_a_switch_chip_forwards_is_blocked_both_ways_by_its_own_rules() -> None:
    router = switch()
    DRIVER.push(router, [BLOCK])
    whom, whose = "02:00:00:00:00:07/FF:FF:FF:FF:FF:FF", f"switchguard:block:{MAC}"
    told = {"switch": "switch1", "ports": "ether3,ether2", "new-dst-ports": "", "comment": whose}
    assert [item.fields for item in router.lists[CHIP]] == [
        {**told, "src-mac-address": whom},
        {**told, "dst-mac-address": whom},
    ]
    assert len(router.lists[BRIDGE]) == 2
    assert DRIVER.enforced(router) == {BLOCK.slot: BLOCK.after}


def test_a_rule_of_a_chip_stands_before_dynamic_ones_too() -> None:
    router = switch(rules=2)
    DRIVER.push(router, [BLOCK])
    assert router.lists[CHIP][2:] == (SNOOPING, SNOOPING)
    DRIVER.push(router, [BLOCK.inverse()])
    assert router.lists == switch(rules=2).lists


@pytest.mark.parametrize("ports", ["ether2,ether3", "ether1,ether2,ether3"], ids=["sorted", "one too many"])
def test_the_order_in_which_a_chip_tells_the_ports_of_a_rule_makes_no_difference(ports: str) -> None:
    router = switch()
    DRIVER.push(router, [BLOCK])
    told = tuple(Item({**it.fields, "ports": ports}) for it in router.lists[CHIP])
    router.lists = {**router.lists, CHIP: told}
    assert DRIVER.enforced(router) == {BLOCK.slot: BLOCK.after}


def test_a_bond_is_named_where_there_is_one_chip() -> None:
    router = switch(bonded=True)
    DRIVER.push(router, [BLOCK])
    assert {item.fields["ports"] for item in router.lists[CHIP]} == {"bond1"}


def named(port: str) -> Router:
    """The only port that the chip forwards for."""
    router = switch()
    router.lists = {**router.lists, "/interface bridge port": (Item({"interface": port}, "H"),)}
    return router


def test_a_port_whose_name_has_blanks_is_quoted() -> None:
    diff = DRIVER.preview(named("ether2 (hall 1)"), [BLOCK])
    assert f'{CHIP} add switch=switch1 ports="ether2 (hall 1)" src-mac-address=' in diff.text


@pytest.mark.parametrize("port", ['hall"; /system reset', "$hall", "hall,ether9", "hall; x", "[:beep]", "hall\\"])
def test_a_port_whose_name_might_say_more_is_put_into_no_command(port: str) -> None:
    router = named(port)
    with pytest.raises(DeviceError, match="is no name that is put into a command; give it another one"):
        DRIVER.push(router, [BLOCK])
    assert router.typed == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda rule: Item({key: it for key, it in rule.fields.items() if key != "new-dst-ports"}),
        lambda rule: Item({**rule.fields, "ports": "ether2"}),
        lambda rule: Item(rule.fields, "I"),
        lambda rule: Item(rule.fields, "X"),
    ],
    ids=["accepts", "another port became offloaded", "does not fit", "disabled"],
)
def test_half_a_block_of_a_chip_is_no_block_and_is_made_whole(damage: Callable[[Item], Item]) -> None:
    router = switch()
    DRIVER.push(router, [BLOCK])
    whole = router.lists[CHIP]
    router.lists = {**router.lists, CHIP: (damage(whole[0]), whole[1])}
    assert DRIVER.enforced(router)[BLOCK.slot] != BLOCK.after
    DRIVER.push(router, [BLOCK])
    assert router.lists[CHIP] == whole


@pytest.mark.parametrize(
    ("router", "why"),
    [
        (switch("MediaTek-MT7621"), r"switch1 \(MediaTek-MT7621\) forwards between ether3, ether2, .* has no rules"),
        (switch("QCA-8513L"), "has an acl instead of rules, which is not written; set hw=no on them"),
        (switch(bonded=True, chips=2), "does not tell which of its switch chips forwards between bond1"),
    ],
    ids=["no rules", "acl", "two chips"],
)
def test_a_block_that_a_switch_chip_would_pass_is_refused(router: Router, why: str) -> None:
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(router, [BLOCK])
    assert router.typed == []


@pytest.mark.parametrize(("kind", "room"), [("QCA-8337", 8), ("Marvell-88E6393X", 42), ("Marvell-98DX226S", 128)])
def test_a_block_that_might_push_others_out_of_the_chip_is_refused(kind: str, room: int) -> None:
    DRIVER.push(switch(kind, rules=room - 4), [BLOCK, OTHER_BLOCK])
    router = switch(kind, rules=room - 3)
    with pytest.raises(DeviceError, match=f"surely has room for {room} rules, not for {room + 1}"):
        DRIVER.push(router, [BLOCK, OTHER_BLOCK])
    assert router.typed == []


def test_a_block_that_is_repaired_needs_no_more_room() -> None:
    router = switch("QCA-8337", rules=6)
    DRIVER.push(router, [BLOCK])
    router.lists = {**router.lists, BRIDGE: ()}
    DRIVER.push(router, [BLOCK])
    assert DRIVER.enforced(router) == {BLOCK.slot: BLOCK.after}


def test_a_chip_without_a_list_of_rules_is_refused() -> None:
    router = switch()
    router.console = Console(lambda: router.lists, router.install, {f"{CHIP} print terse without-paging": refuse})
    with pytest.raises(DeviceError, match="its switch chip has no rules"):
        DRIVER.push(router, [BLOCK])


def test_a_gateway_needs_no_rules_of_its_chip() -> None:
    router = switch(role=Role.GATEWAY)
    DRIVER.push(router, [BLOCK])
    assert (router.lists[CHIP], DRIVER.enforced(router)) == ((), {BLOCK.slot: BLOCK.after})


# --- sessions --------------------------------------------------------------------------------------------------------


def test_the_sessions_of_one_client_are_cleared_and_nobody_elses() -> None:
    rows = ("10.10.0.2:4000", "10.10.0.20:4000", "10.10.0.2", "110.10.0.2:1", "10.10.0.2:1")
    router = Router({**EMPTY, CONNECTIONS: tuple(Item({"src-address": it}) for it in rows)})
    assert DRIVER.clear_sessions(router, [ip_address("10.10.0.2"), ip_address("2001:db8::2")]) == 3
    assert [item.fields["src-address"] for item in router.lists[CONNECTIONS]] == ["10.10.0.20:4000", "110.10.0.2:1"]


def test_the_sessions_of_a_subnet_are_cleared_address_by_address() -> None:
    told = "timeout=9s reply-src-address=198.18.0.1 reply-dst-address=203.0.113.9"
    flows = [f"{n} S  protocol=icmp src-address={it} dst-address=198.18.0.1 {told}" for n, it in enumerate(CLIENTS)]
    text = "".join(f"{flow}\n" for flow in flows)
    router = Router(
        {**EMPTY, CONNECTIONS: tuple(Item({"src-address": it}) for it in CLIENTS)},
        answers={"/ip firewall connection print detail without-paging": lambda: text},
    )
    assert DRIVER.clear_sessions(router, [ip_network("10.10.0.0/24")]) == 2
    assert [item.fields["src-address"] for item in router.lists[CONNECTIONS]] == ["10.20.0.3"]


CLIENTS = ("10.10.0.2", "10.10.0.3", "10.20.0.3")


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_short_table_is_read_with_what_it_has() -> None:
    text = (
        "Flags: S - seen-reply, A - assured\n"
        "#    PR.. SRC-ADDRESS           DST-ADDRESS           TCP-STATE   TIMEOUT\n"
        "0    udp  10.10.0.176:5678      255.255.255.255:5678              0s\n"
        "1    ospf 10.10.0.161           224.0.0.5                         9m58s\n"
        "4 SA tcp  10.10.0.147:48984     198.18.1.1:8291       established 4m59s\n"
    )
    found = DRIVER.read_capture([text.encode()], "connections", ())
    assert (found.entries, found.unparsed) == (3, 0)
    assert {str(it.address): it.unanswered_share for it in found.usages}["10.10.0.147"] == 0.0


def test_connections_of_ipv6_have_their_ports_apart() -> None:
    text = (
        " 0  SAC     protocol=tcp src-address=fd00:10::7 \n"
        "            src-port=54634 dst-address=2001:db8:58::da dst-port=443 \n"
        "            reply-src-address=2001:db8:58::da reply-src-port=443 \n"
        "            reply-dst-address=fd00:10::7 reply-dst-port=54634 \n"
        "            tcp-state=established timeout=4m59s orig-bytes=533 repl-bytes=3 403 148 \n"
    )
    (usage,) = DRIVER.read_capture([text.encode()], "connections", ()).usages
    assert (str(usage.address), usage.top_port, usage.bytes_in) == ("fd00:10::7", 443, 3_403_148)


@pytest.mark.parametrize("worse", ["orig-bytes=25 67 5", "colour=blue", "src-address=10.10.0.777", "timeout=soon"])
def test_a_row_with_anything_strange_is_quoted(worse: str) -> None:
    row = f"0 SAC protocol=udp {worse} dst-address=198.18.0.1 src-address=10.10.0.7 timeout=9s"
    found = DRIVER.read_capture([f"{row}\n".encode()], "connections", ())
    assert (found.entries, found.samples) == (0, ((1, row),))


def test_an_answer_that_was_cut_off_between_rows_is_an_error() -> None:
    class Cut(Router):
        def ask(self, command: str) -> str:
            return super().ask(command).removesuffix("end of the list\n")

    with pytest.raises(UnexpectedOutput, match="cut off"):
        DRIVER.enforced(Cut())


# --- the console that the tests and the lab use -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/ip firewal raw print terse without-paging", "bad command name firewal (line 1 column 5)"),
        ("/ip firewall raw add chain=prerouting colour=blue", "expected end of command (line 1 column 39)"),
        ("/ip firewall raw add chain=sideways", "input does not match any value of chain"),
        ("/ip firewall raw add action=drop", "missing value(s) of argument(s) chain"),
        ("/ip firewall raw add chain=prerouting src-address=10.0.0", "invalid value for argument src-address"),
        ("/ip firewall raw add chain=prerouting place-before=7", "no such item"),
        ("/queue simple add name=everybody target=10.0.0.1/32", "failure: already have such name"),
        ('/interface bridge port set [find interface="ether1"] hw=perhaps', "invalid value for argument hw"),
        ('/interface bridge port set [find interface="ether1"] pvid=7', "expected end of command"),
        ("/interface ethernet switch rule add ports=ether1", "missing value(s) of argument(s) switch"),
    ],
)
def test_the_console_refuses_what_it_does_not_know(line: str, said: str) -> None:
    router = Router()
    assert router.console.run(line).startswith(said)
    assert router.lists == SOMEBODYS


def test_adding_twice_makes_two() -> None:
    router = Router(EMPTY)
    router.console.run("/ip firewall raw add chain=prerouting; /ip firewall raw add chain=prerouting")
    assert len(router.lists[RAW]) == 2


def test_a_number_is_that_of_the_logins_own_last_print() -> None:
    router = Router()
    other = Console(lambda: router.lists, router.install)
    router.console.run(f"{BRIDGE} print terse without-paging")
    assert other.run(f"{BRIDGE} add chain=input place-before=0") == "no such item\n"
    assert router.console.run(f"{BRIDGE} add chain=input place-before=0") == ""


def test_a_terse_row_begins_with_its_comment() -> None:
    row = printed(RAW, (Item({"chain": "prerouting", "comment": "the hall"}, "X"),))
    assert row == " 0 X   comment=the hall chain=prerouting log=no log-prefix=\n"


@pytest.mark.parametrize("change", [LIMIT, CAP, BY_ADDRESS])
def test_an_access_switch_does_nothing_by_address(change: Change) -> None:
    with pytest.raises(DeviceError, match="an access switch bridges"):
        DRIVER.push(Router(EMPTY, Role.ACCESS), [change])
