"""VyOS as the lab plays it: typed by a person, and by netmiko's own driver on loopback. What the kernel would be told
is only remembered."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from frontends_harness import PASSWORD, USER, FaultSwitch, Loop, serving

from switchguard.core.model import Device, Role
from switchguard.edge.session_netmiko import Cli
from switchguard.errors import CommandRefused
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.grammar_vyos import Tree
from switchguard.lab.frontends.vyos import ssh_server
from switchguard.lab.frontends.vyos_box import VyosBox, ruleset
from switchguard.lab.frontends.vyos_session import VyosSession
from switchguard.ports import Endpoint, Secret

GROUP = "set firewall group mac-group SWITCHGUARD mac-address 02:00:00:00:00:07"
RULE = (
    "set firewall ipv4 forward filter rule 1 action drop",
    "set firewall ipv4 forward filter rule 1 source group mac-group SWITCHGUARD",
)
LIMIT = (
    "set qos policy limiter SLOW class 2 bandwidth 64kbit",
    "set qos policy limiter SLOW class 2 match it ip source address 10.10.0.7/32",
    "set qos interface lan10 ingress SLOW",
)
CONFIGURATION = "show configuration commands"


@pytest.fixture
def installed() -> list[Tree]:
    """What the kernel was told, the last one in force."""
    return []


@pytest.fixture
def faults(tmp_path: Path) -> FaultSwitch:
    return FaultSwitch(tmp_path / "faults", "gw")


@pytest.fixture
def box(tmp_path: Path, installed: list[Tree], faults: FaultSwitch) -> VyosBox:
    return VyosBox("gw", ("system host-name gw",), tmp_path / "state", faults.faults, installed.append)


@pytest.fixture
def terminal(tmp_path: Path, box: VyosBox) -> Iterator[Cli]:
    """As switchguard comes in."""
    with serving(Loop(), ssh_server(box, {USER: PASSWORD}, tmp_path / "host_key")) as port:
        key = (tmp_path / "host_key.pub").read_text().split()[:2]
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(key)}\n")
        known = str(tmp_path / "known_hosts")
        endpoint = Endpoint("127.0.0.1", port, USER, Secret(PASSWORD), known_hosts=known, timeout_s=5.0)
        made = Cli(Device("gw", "vyos", Role.GATEWAY), endpoint)
        yield made
        made.close()


def typed(box: VyosBox, *lines: str) -> list[str]:
    """What each line prints, in one login."""

    async def all_of_them() -> list[str]:
        session = VyosSession(box, USER)
        return [await session.answer(line) for line in lines]

    return asyncio.run(all_of_them())


def in_force(installed: list[Tree]) -> str:
    return "\n".join(ruleset(installed[-1]))


def test_what_netmiko_commits_is_in_force_and_saved(box: VyosBox, installed: list[Tree], terminal: Cli) -> None:
    terminal.configure([GROUP, *RULE, *LIMIT])
    assert "ether saddr @M_SWITCHGUARD drop" in in_force(installed)
    assert "ip saddr 10.10.0.7/32 limit rate over 8000 bytes/second burst 16000 bytes drop" in in_force(installed)
    assert GROUP.replace("02:00:00:00:00:07", "'02:00:00:00:00:07'") in terminal.ask(CONFIGURATION).splitlines()
    box.reload()
    assert "elements = { 02:00:00:00:00:07 }" in in_force(installed)


def test_ports_are_dropped_for_tcp_and_udp(box: VyosBox, installed: list[Tree]) -> None:
    rule = RULE[0].removesuffix(" action drop")
    typed(box, "configure", RULE[0], f"{rule} protocol tcp_udp", f"{rule} destination port 1025-65535", "commit")
    assert "meta l4proto { tcp, udp } th dport 1025-65535 drop" in in_force(installed)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["set firewall group mac-group X mac-address 02:00"], "is not valid"),
        ([RULE[1]], "Rule action must be defined"),
    ],
    ids=["at a line", "at the commit"],
)
def test_what_is_refused_leaves_nothing_behind(
    box: VyosBox, installed: list[Tree], terminal: Cli, lines: list[str], why: str
) -> None:
    with pytest.raises(CommandRefused, match=why):
        terminal.configure([GROUP, *lines])
    assert terminal.ask(f"{CONFIGURATION} | sed '$a end'").splitlines() == ["set system host-name 'gw'", "end"]
    assert len(installed) == 1


@pytest.mark.parametrize(
    "line",
    [
        "set firewall ipv4 forward filter rule 1 action vanish",
        "set firewall ipv4 forward filter rule 0 action drop",
        "set firewall ipv4 forward filter rule 1 destination port above-1024",
        "set firewall group address-group X address 10.10.0.256",
        "set firewall group network-group X network 10.10.0.1/24",
        "set qos policy limiter SLOW class 4096 bandwidth 64kbit",
        "set qos policy limiter SLOW class 2 bandwidth 64kbps",
    ],
)
def test_what_no_reference_has_is_no_line(box: VyosBox, line: str) -> None:
    assert "is not valid" in typed(box, "configure", line)[-1]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([RULE[0].replace("drop", "jump")], "no jump-target"),
        ([*RULE], 'Invalid mac-group "SWITCHGUARD"'),
        ([RULE[0], "set firewall ipv4 forward filter rule 1 destination port 1025-65535"], "Protocol must be tcp, udp"),
        (["set qos interface lan10 ingress NOTHING"], '"NOTHING" is not a limiter'),
        (["set qos policy shaper X bandwidth 1gbit"], "Default bandwidth"),
        ([*LIMIT, LIMIT[0].replace("limiter", "shaper")], 'Conflicting policy name "SLOW", already in use!'),
    ],
)
def test_what_cannot_work_is_not_committed(box: VyosBox, installed: list[Tree], lines: list[str], why: str) -> None:
    said = typed(box, "configure", *lines, "commit")[-1]
    assert why in said
    assert "Commit failed" in said
    assert len(installed) == 1


def test_a_group_outlives_its_last_member(box: VyosBox) -> None:
    typed(box, "configure", GROUP, "commit", GROUP.replace("set", "delete", 1), "commit")
    assert "set firewall group mac-group SWITCHGUARD" in typed(box, CONFIGURATION)[0].splitlines()
    typed(box, "configure", "delete firewall group", "commit")
    assert "firewall" not in typed(box, CONFIGURATION)[0]


def test_what_is_not_committed_keeps_people_from_leaving(box: VyosBox) -> None:
    *_, compared, leaving, left = typed(box, "configure", GROUP, "compare", "exit", "exit discard")
    assert "+ firewall group mac-group SWITCHGUARD mac-address '02:00:00:00:00:07'" in compared
    assert "Cannot exit: configuration modified." in leaving
    assert left == "exit"


def test_what_would_reboot_is_not_done(box: VyosBox, installed: list[Tree]) -> None:
    assert "reboots" in typed(box, "configure", GROUP, "commit-confirm 10")[-1]
    assert len(installed) == 1


def test_a_refused_commit_is_an_error(faults: FaultSwitch, terminal: Cli) -> None:
    faults.set(Fault.REFUSE_COMMIT)
    with pytest.raises(CommandRefused, match="Commit failed"):
        terminal.configure([GROUP])
    faults.set(Fault.NONE)
    assert "firewall" not in terminal.ask(CONFIGURATION)
