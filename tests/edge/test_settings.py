import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from switchguard.core.model import Device, Mac, Mode, Role
from switchguard.core.penalties import Block, Exemption, RateLimit, SessionCap
from switchguard.core.policy import Policy, Rule, Safeguards, Sentence, SharedLink, Zone
from switchguard.core.rules import new_device
from switchguard.edge.reference import settings_reference
from switchguard.edge.settings import Poll, Site, load_site, machine_zone, missing_credentials
from switchguard.errors import NotConfigured, SiteError
from switchguard.ports import Secret

POLICY = """\
mode: enforce
poll: {nat: 30s}
link: {device: gw1, interface: wan0, capacity: 200Mbps}
zones:
  delegates: {networks: [10.10.0.0/16, "2001:db8:10::/48"]}
  lab:
    networks: [10.20.0.0/16]
    enforce_at: acc1
exempt:
  - {network: 10.10.0.0/28, why: servers}
  - {mac: 10:22:33:44:55:16, until: 2026-12-01T18:00+01:00, why: keynote encoder}
  - {user: alice, why: pays for it}
rules:
  swarm:
    kind: naughty_factor
    above: 0.8
    penalty: {block: mac, lasts: 2h, escalate: 2x, at_most: 2d, forget_after: 7d}
  crowd: {kind: naughty_factor, above: 0.5, for_polls: 5, penalty: {cap: 100, lasts: forever}}
  hog: {kind: naughty_factor, above: 0.3, penalty: {limit: 64kbps}}
safeguards: {new_per_cycle: 4, share_of_clients: 12.5%, max_age: 2m, widest_subnet: 22, least_for_everyone: 80}
"""
HOSTS = """\
gw1:
  hostname: 192.0.2.1
  platform: linux
  groups: [all]
  data: {switchguard: {role: gateway, lan_interfaces: [lan0]}}
acc1:
  platform: cisco_ios
  port: 2222
  groups: [all]
  data:
    switchguard:
      role: access
      mode: enforce
      zone: lab
      uplinks: [Gi0/1]
      napalm: {dest_file_system: "flash:"}
"""
GROUPS = """\
all:
  username: switchguard
  data:
    switchguard:
      password: {env: SG_TEST_PASSWORD}
      known_hosts: known_hosts
      timeout: 5s
      snmp: {community: {file: community}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in {"switchguard.yaml": POLICY, "hosts.yaml": HOSTS, "groups.yaml": GROUPS}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(directory: Path) -> Edit:
    def replace_once(file: str, old: str, new: str) -> None:
        text = (directory / file).read_text()
        assert text.count(old) == 1
        (directory / file).write_text(text.replace(old, new))

    return replace_once


def complaint(directory: Path) -> str:
    """What load_site says, with the directory left out."""
    with pytest.raises(SiteError) as caught:
        load_site(directory)
    return str(caught.value).replace(f"{directory}/", "")


# --- what a site says ------------------------------------------------------------------------------------------------


def test_a_policy_becomes_values_of_the_core(directory: Path) -> None:
    naughty = Rule("", "naughty_factor", 0.8, 3, Sentence(Block()))
    site = load_site(directory)
    assert site.policy == Policy(
        mode=Mode.ENFORCE,
        zones=(
            Zone("delegates", (ip_network("10.10.0.0/16"), ip_network("2001:db8:10::/48"))),
            Zone("lab", (ip_network("10.20.0.0/16"),), "acc1"),
        ),
        rules=(
            replace(
                naughty,
                name="swarm",
                sentence=Sentence(
                    Block("mac"), timedelta(hours=2), 2.0, at_most=timedelta(days=2), forget_after=timedelta(days=7)
                ),
            ),
            replace(naughty, name="crowd", above=0.5, for_polls=5, sentence=Sentence(SessionCap(100), lasts=None)),
            replace(naughty, name="hog", above=0.3, sentence=Sentence(RateLimit(64_000))),
        ),
        exemptions=(
            Exemption("site 10.10.0.0/28", "servers", network=ip_network("10.10.0.0/28")),
            Exemption(
                "site 10:22:33:44:55:16",
                "keynote encoder",
                mac=Mac.parse("10:22:33:44:55:16"),
                until=datetime(2026, 12, 1, 17, tzinfo=UTC),
            ),
            Exemption("site alice", "pays for it", user="alice"),
        ),
        safeguards=Safeguards(
            new_per_cycle=4, share_of_clients=0.125, max_age_s=120, widest_subnet=22, least_for_everyone=80
        ),
        zone=machine_zone(),
        link=SharedLink("gw1", "wan0", 200_000_000, 200_000_000),
    )


def test_periods_and_ledger_come_with_defaults(directory: Path) -> None:
    site = load_site(directory)
    assert site.poll == Poll(timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=5), timedelta(seconds=60))
    assert site.ledger == str(directory / "state/switchguard.db")


def test_an_empty_policy_observes(directory: Path) -> None:
    (directory / "switchguard.yaml").write_text("# nothing yet\n")
    (directory / "hosts.yaml").write_text("gw1: {platform: linux, data: {switchguard: {role: gateway}}}\n")
    site = load_site(directory)
    assert site.policy == Policy(zone=machine_zone())
    assert site.devices == (Device("gw1", "linux", Role.GATEWAY),)


def test_a_ledger_can_be_elsewhere(directory: Path) -> None:
    with (directory / "switchguard.yaml").open("a") as file:
        file.write("ledger: postgresql://db/switchguard\n")
    assert load_site(directory).ledger == "postgresql://db/switchguard"


def test_how_many_public_addresses_a_gateway_has_is_said_of_the_gateway(directory: Path, edit: Edit) -> None:
    edit("hosts.yaml", "lan_interfaces: [lan0]", "lan_interfaces: [lan0], public_addresses: 2")
    assert load_site(directory).policy.public_addresses == {"gw1": 2}
    edit("hosts.yaml", "public_addresses: 2", "public_addresses: 0")
    assert "gw1: public_addresses: input should be greater than or equal to 1" in complaint(directory)
    edit("hosts.yaml", "public_addresses: 0", "zone: lab")
    edit("hosts.yaml", "role: access", "role: access\n      public_addresses: 1")
    assert complaint(directory).endswith("acc1: public_addresses is for gateways")


def test_devices_and_the_way_to_them_come_from_nornirs_files(directory: Path) -> None:
    site = load_site(directory)
    assert site.devices == (
        Device("gw1", "linux", Role.GATEWAY, lan_interfaces=("lan0",)),
        Device("acc1", "cisco_ios", Role.ACCESS, Mode.ENFORCE, uplinks=("Gi0/1",), zone="lab"),
    )
    gateway, access = site.endpoints["gw1"], site.endpoints["acc1"]
    assert (gateway.host, gateway.port, access.host, access.port) == ("192.0.2.1", None, "acc1", 2222)
    assert (gateway.username, gateway.timeout_s) == ("switchguard", 5.0)
    assert gateway.known_hosts == str(directory / "known_hosts")
    assert access.napalm_options == {"dest_file_system": "flash:"}


def test_a_host_that_says_one_thing_keeps_what_its_group_says(directory: Path, edit: Edit) -> None:
    edit("hosts.yaml", "role: gateway,", "role: gateway, timeout: 20s,")
    endpoint = load_site(directory).endpoints["gw1"]
    assert (endpoint.timeout_s, endpoint.snmp is not None) == (20.0, True)


def test_any_inventory_plugin_of_nornir_will_do(directory: Path, edit: Edit) -> None:
    (directory / "elsewhere.yaml").write_text((directory / "hosts.yaml").read_text())
    (directory / "hosts.yaml").unlink()
    edit("switchguard.yaml", "mode: enforce", f"inventory: {{options: {{host_file: {directory}/elsewhere.yaml}}}}")
    assert [device.name for device in load_site(directory).devices] == ["gw1", "acc1"]


def test_ports_may_be_numbers_but_not_such_that_change_when_read(directory: Path, edit: Edit) -> None:
    edit("hosts.yaml", "[Gi0/1]", "[1, A2]")
    assert load_site(directory).devices[1].uplinks == ("1", "A2")
    edit("hosts.yaml", "[1, A2]", "[1.10]")
    assert "acc1: uplinks.0: input should be a valid string, not 1.1" in complaint(directory)


def test_snmp_version_3_has_a_user_and_two_keys(directory: Path, edit: Edit) -> None:
    edit(
        "groups.yaml",
        "snmp: {community: {file: community}}",
        "snmp: {version: 3, user: sg, auth_key: {env: A}, priv_key: {env: P}, auth_protocol: sha256, timeout: 1s}",
    )
    snmp = load_site(directory).endpoints["gw1"].snmp
    assert snmp is not None
    assert (snmp.version, snmp.user, snmp.auth_protocol, snmp.timeout_s) == ("3", "sg", "sha256", 1.0)


# --- secrets ---------------------------------------------------------------------------------------------------------


def secret(site: Site, device: str = "gw1") -> Secret:
    found = site.endpoints[device].password
    assert found is not None
    return found


def test_a_secret_is_fetched_when_it_is_needed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SG_TEST_PASSWORD", raising=False)
    password = secret(load_site(directory))
    monkeypatch.setenv("SG_TEST_PASSWORD", "quartz")
    assert password.reveal() == "quartz"
    assert repr(password) == "***"


def test_loading_the_site_again_fetches_a_changed_secret(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("quartz", "feldspar"):
        monkeypatch.setenv("SG_TEST_PASSWORD", word)
        assert secret(load_site(directory)).reveal() == word


def test_a_reference_that_leads_nowhere_is_the_problem_of_that_device(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SG_TEST_PASSWORD", raising=False)
    site = load_site(directory)
    with pytest.raises(NotConfigured, match="gw1: password: the environment variable SG_TEST_PASSWORD is not set"):
        secret(site).reveal()
    assert [str(error).partition(f" {directory}")[0] for error in missing_credentials(site)] == [
        "gw1: password: the environment variable SG_TEST_PASSWORD is not set",
        "gw1: snmp.community: the file",
        "acc1: password: the environment variable SG_TEST_PASSWORD is not set",
        "acc1: snmp.community: the file",
    ]


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        ("{file: secret.txt}", "quartz"),
        ("{command: [echo, quartz]}", "quartz"),
        ("{command: [sh, -c, 'echo $0', 'two words']}", "two words"),
    ],
)
def test_files_and_commands_hold_secrets_too(directory: Path, edit: Edit, reference: str, word: str) -> None:
    (directory / "secret.txt").write_text("quartz\n")
    edit("groups.yaml", "{env: SG_TEST_PASSWORD}", reference)
    password, same = secret(load_site(directory)), secret(load_site(directory))
    assert password.reveal() == word
    assert (password, hash(password)) == (same, hash(same))


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("{file: empty.txt}", "the file {directory}/empty.txt is empty"),
        ("{file: none.txt}", "the file {directory}/none.txt cannot be read: No such file or directory"),
        ("{command: [no-such-program]}", "the command no-such-program cannot be run: No such file or directory"),
        ("{command: [sh, -c, 'echo locked >&2; exit 3']}", "the command sh ended with status 3: locked"),
        ("{command: ['true']}", "the command true printed nothing"),
    ],
)
def test_why_there_is_no_secret_is_said(directory: Path, edit: Edit, reference: str, why: str) -> None:
    (directory / "empty.txt").write_text("\n")
    edit("groups.yaml", "{env: SG_TEST_PASSWORD}", reference)
    with pytest.raises(NotConfigured) as caught:
        secret(load_site(directory)).reveal()
    assert caught.value.why == f"password: {why.format(directory=directory)}"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("groups.yaml", "{env: SG_TEST_PASSWORD}", "quartz", "groups.yaml:5: gw1: password: a secret in plain text"),
        ("groups.yaml", "{file: community}", "public", "groups.yaml:8: gw1: snmp.community: a secret in plain text"),
        ("groups.yaml", "{env: SG_TEST_PASSWORD}", "{vault: x}", "gw1: password: is no reference to a secret"),
        ("groups.yaml", "{env: SG_TEST_PASSWORD}", "{command: pass}", "gw1: password: is no reference to a secret"),
        (
            "hosts.yaml",
            'napalm: {dest_file_system: "flash:"}',
            "napalm: {secret: quartz}",
            "acc1: napalm.secret would be a secret in plain text; use password or enable_password",
        ),
    ],
)
def test_a_secret_in_plain_text_is_refused_and_not_repeated(
    directory: Path, edit: Edit, file: str, old: str, new: str, said: str
) -> None:
    edit(file, old, new)
    words = complaint(directory)
    assert said in words
    assert "quartz" not in words
    assert "public" not in words


@pytest.mark.parametrize(
    ("platform", "options", "said"),
    [
        (
            "cisco_nxos",
            "napalm: {transport: http}",
            "hosts.yaml:16: acc1: napalm.transport: no way to cisco_nxos called 'http'; there are: ssh, https",
        ),
        (
            "cisco_ios",
            "napalm: {transport: https}",
            "hosts.yaml:16: acc1: napalm.transport: there is one way to cisco_ios only; a choice have: "
            "arista_eos (https, https_certs, http, ssh), cisco_nxos (ssh, https)",
        ),
        (
            "hp_procurve",
            "napalm: {port: 8080}",
            "hosts.yaml:16: acc1: napalm: hp_procurve is not driven by NAPALM; there are: "
            "arista_eos, cisco_ios, cisco_nxos, cisco_xe, juniper_junos",
        ),
        (
            "cisco_nxos",
            "ca_file: switch.pem",
            "hosts.yaml:16: acc1: ca_file: this device is not reached over https; say `napalm: {transport: https}`, "
            "where the platform has it",
        ),
        (
            "cisco_nxos",
            "napalm: {transport: https}\n      ca_file: none.pem",
            "hosts.yaml:17: acc1: ca_file: there is no file none.pem",
        ),
        ("cisco_nxos", "mlag_peer: acc1", "hosts.yaml:16: acc1: mlag_peer: a switch is not its own peer"),
        (
            "cisco_nxos",
            "mlag_peer: acc2",
            "hosts.yaml:16: acc1: mlag_peer: no device called 'acc2'. There are: gw1",
        ),
        (
            "cisco_nxos",
            "mlag_peer: gw1",
            "hosts.yaml:16: acc1: mlag_peer: gw1 names none as its own; both have to name each other",
        ),
    ],
)
def test_an_option_that_would_mean_nothing_is_a_mistake(
    directory: Path, edit: Edit, platform: str, options: str, said: str
) -> None:
    edit("hosts.yaml", "platform: cisco_ios", f"platform: {platform}")
    edit("hosts.yaml", 'napalm: {dest_file_system: "flash:"}', options)
    assert complaint(directory) == said


def test_a_switch_is_reached_over_https_and_has_a_peer(directory: Path, edit: Edit) -> None:
    (directory / "switch.pem").touch()
    edit("hosts.yaml", "platform: cisco_ios", "platform: cisco_nxos")
    edit("hosts.yaml", 'napalm: {dest_file_system: "flash:"}', "napalm: {transport: https}\n      ca_file: switch.pem")
    edit("hosts.yaml", "uplinks: [Gi0/1]", "uplinks: [Gi0/1]\n      mlag_peer: gw1")
    edit("hosts.yaml", "lan_interfaces: [lan0]", "mlag_peer: acc1")
    site = load_site(directory)
    assert {it.name: it.mlag_peer for it in site.devices} == {"gw1": "acc1", "acc1": "gw1"}
    way = site.endpoints["acc1"]
    assert (way.napalm_options, way.ca_file) == ({"transport": "https"}, str(directory / "switch.pem"))


def test_nornirs_own_password_is_a_reference_as_well(directory: Path, edit: Edit) -> None:
    edit("groups.yaml", "      password: {env: SG_TEST_PASSWORD}\n", "")
    edit("groups.yaml", "username: switchguard", "username: switchguard\n  password: quartz")
    assert "groups.yaml:3: gw1: password: a secret in plain text is refused" in complaint(directory)
    edit("groups.yaml", "password: quartz", "password: {command: [echo, quartz]}")
    assert secret(load_site(directory)).reveal() == "quartz"


def test_a_password_for_a_connection_that_we_do_not_use_is_refused(directory: Path, edit: Edit) -> None:
    edit("hosts.yaml", "hostname: 192.0.2.1", "connection_options: {netmiko: {password: quartz}}")
    assert "gw1: connection_options.netmiko has a password in plain text" in complaint(directory)


# --- what a site must not say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "10.10.0.0/28, why",
            '"fe80::1%x;y", why',
            "switchguard.yaml:10: exempt.0.network: 'fe80::1%x;y' has a scope; write the network without `%` and what "
            "follows",
        ),
        ("mode: enforce", "mood: enforce", "switchguard.yaml:1: unknown key 'mood'; did you mean 'mode'?"),
        ("mode: enforce", "mode: off", "switchguard.yaml:1: mode: input should be 'observe' or 'enforce', not 'off'"),
        ("nat: 30s", "nat: 30", "switchguard.yaml:2: poll.nat: '30' has no unit; write a duration like 10s"),
        ("nat: 30s", "nta: 30s", "switchguard.yaml:2: unknown key 'poll.nta'; did you mean 'nat'?"),
        ("nat: 30s", "nat: -30s", "switchguard.yaml:2: poll.nat: '-30s' is not a duration"),
        ("200Mbps", "IN50GB1M", "switchguard.yaml:3: link.capacity: 'IN50GB1M' is not a rate"),
        ("200Mbps", "true", "switchguard.yaml:3: link.capacity: input should be a valid integer, not True"),
        ("device: gw1", "device: gw2", "switchguard.yaml:3: link: no device called 'gw2'; did you mean 'gw1'?"),
        ("enforce_at: acc1", "enforce_at: coer", "switchguard.yaml:8: zone 'lab': no role or device called 'coer'"),
        ("enforce_at", "enforced_at", "switchguard.yaml:8: unknown key 'zones.lab.enforced_at'; did you mean"),
        ("10.20.0.0/16", "10.10.7.0/24", "switchguard.yaml:7: 10.10.7.0/24 of zone 'lab' overlaps 10.10.0.0/16"),
        ("10.20.0.0/16", "10.20.0.1/16", "networks.0: '10.20.0.1/16' has host bits set; did you mean 10.20.0.0/16?"),
        ("[10.20.0.0/16]", "[]", "switchguard.yaml:7: zones.lab.networks: list should have at least 1 item"),
        ("  lab:", "  delegates:", "switchguard.yaml:6: 'delegates' is here twice; the first time in line 5"),
        ("10.10.0.0/28", "servers", "exempt.0.network: 'servers' is not a network; write it like 10.10.0.0/16"),
        ("10:22:33:44:55:16", "10:22:33:44:55", "switchguard.yaml:11: exempt.1.mac: '10:22:33:44:55' is not a MAC"),
        ("{user: alice,", "{user: alice, mac: 020000000007,", "exempt.2: an exemption is for exactly one of network"),
        ("until: 2026-12-01T18:00+01:00", "until: tomorrow", "exempt.1.until: 'tomorrow' is not a time"),
        (", why: servers", "", "switchguard.yaml:10: 'exempt.0.why' is missing"),
        ("  crowd:", "  swarm:", "switchguard.yaml:18: 'swarm' is here twice; the first time in line 14"),
        ("above: 0.8", "above: 80", "switchguard.yaml:16: rules.swarm.above: input should be less than or equal to 1"),
        ("lasts: 2h", "lasts: 3d", "switchguard.yaml:17: rules.swarm.penalty: at_most is shorter than lasts"),
        ("block: mac", "block: port", "rules.swarm.penalty.block: input should be 'mac' or 'address', not 'port'"),
        ("block: mac,", "", "rules.swarm.penalty: a penalty is exactly one of notify, cap,"),
        ("escalate: 2x", "escalate: 2", "rules.swarm.penalty.escalate: '2' has no unit; write a factor like 1.5x"),
        ("share_of_clients: 12.5%", "share_of_clients: 0.125", "safeguards.share_of_clients: '0.125' has no unit"),
        ("safeguards: {", "safeguards: [", "switchguard.yaml:20: no YAML"),
        ("safeguards: {", "inventory: {source: netbox}\nsafeguards: {", "no inventory source called 'netbox'"),
        ("safeguards: {", "inventory: {plugin: NetBox}\nsafeguards: {", "no Nornir inventory plugin called 'NetBox'"),
    ],
)
def test_a_mistake_in_the_policy_is_told_with_its_line(
    directory: Path, edit: Edit, old: str, new: str, said: str
) -> None:
    edit("switchguard.yaml", old, new)
    assert said in complaint(directory)


def test_an_unknown_kind_of_rule_lists_those_there_are(directory: Path) -> None:
    (directory / "switchguard.yaml").write_text(
        "rules:\n  swarm: {kind: naughty_facter, above: 0.8, penalty: {block: mac}}\n"
    )
    said = complaint(directory)
    assert said.startswith("switchguard.yaml:2: rules.swarm: no kind of rule called 'naughty_facter'; did you mean")
    assert "There are: connections, copied_mac, everyone, nat_pressure, naughty_factor" in said


def test_all_mistakes_of_a_file_are_told_at_once(directory: Path, edit: Edit) -> None:
    edit("switchguard.yaml", "mode: enforce", "mood: enforce")
    edit("switchguard.yaml", "lasts: 2h", "lasts: 2")
    lines = complaint(directory).splitlines()
    assert [re.sub(r":.*", "", line.removeprefix("switchguard.yaml:")) for line in lines] == ["17", "1"]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "hosts.yaml",
            "uplinks: [Gi0/1]",
            "uplink: [Gi0/1]",
            "hosts.yaml:15: acc1: unknown key 'uplink'; did you mean",
        ),
        ("hosts.yaml", "role: access", "role: boss", "hosts.yaml:12: acc1: role: input should be 'gateway', 'core'"),
        ("hosts.yaml", "      role: access\n", "", "acc1: 'role' is missing"),
        ("hosts.yaml", "zone: lab", "zone: lap", "hosts.yaml:14: acc1: no zone called 'lap'; did you mean 'lab'?"),
        ("hosts.yaml", "cisco_ios", "cisco_oss", "hosts.yaml:7: acc1: no driver called 'cisco_oss'; did you mean"),
        ("hosts.yaml", "  platform: linux\n", "", "hosts.yaml:1: gw1: platform is missing; there are: arista_eos"),
        ("hosts.yaml", "port: 2222", "groups: [al]", "hosts.yaml:9: 'groups' is here twice"),
        ("hosts.yaml", "gw1:", "gw1: [", "hosts.yaml:3: no YAML"),
        ("hosts.yaml", "gw1:", "5:", "hosts.yaml:1: 5: the name of a host is text, and this is none in YAML"),
        ("hosts.yaml", "gw1:", "true:", "hosts.yaml:1: True: the name of a host is text, and this is none in YAML"),
        ("hosts.yaml", "gw1:", '"..":', "hosts.yaml:1: '..': the name of a host is of printable characters"),
        ("hosts.yaml", "gw1:", '"":', "hosts.yaml:1: '': the name of a host is of printable characters"),
        ("hosts.yaml", "gw1:", f"{'x' * 300}:", "the name of a host is of printable characters"),
        ("hosts.yaml", "gw1:", '"gw\\n1":', "hosts.yaml:1: 'gw\\n1': the name of a host is of printable"),
        ("hosts.yaml", "gw1:", '"\\e[31mred":', "hosts.yaml:1: '\\x1b[31mred': the name of a host is of printable"),
        ("hosts.yaml", "192.0.2.1", "5", "hosts.yaml:2: gw1: hostname: 5 is no text; write it in quotes"),
        ("hosts.yaml", "192.0.2.1", "x" * 500, f"hosts.yaml:2: gw1: hostname: '{'x' * 40}…' is no name of a host"),
        ("hosts.yaml", "192.0.2.1", '"10.0.0.1; reboot"', "hosts.yaml:2: gw1: hostname: '10.0.0.1; reboot' is neither"),
        ("hosts.yaml", "192.0.2.1", "-oProxyCommand=id", "hosts.yaml:2: gw1: hostname: '-oProxyCommand=id' is neither"),
        (
            "groups.yaml",
            "{file: community}",
            "{file: ~nobody-here/x}",
            "'~nobody-here/x': nobody knows which directory",
        ),
        ("groups.yaml", "all:", "everybody:", "the inventory plugin SimpleInventory failed: KeyError: 'all'"),
        ("groups.yaml", "timeout: 5s", "timeout: 5", "groups.yaml:7: gw1: timeout: '5' has no unit"),
        ("groups.yaml", "community:", "comunity:", "groups.yaml:8: gw1: unknown key 'snmp.comunity'; did you mean"),
        ("groups.yaml", "community: {file: community}", "port: 1161", "snmp: SNMP version 2c needs community"),
        ("groups.yaml", "community: {file", "version: '3', community: {file", "version 3 needs user, auth_key, priv_"),
        ("groups.yaml", "    switchguard:", "    switchguard: 7\n    other:", "data.switchguard is a mapping of keys"),
    ],
)
def test_a_mistake_about_a_host_is_told_with_its_line(
    directory: Path, edit: Edit, file: str, old: str, new: str, said: str
) -> None:
    edit(file, old, new)
    assert said in complaint(directory)


@pytest.mark.parametrize("name", ["sw-1.example.org", "SW_1", "sw 1", "1", "sw1; reboot", "Küche", "a/b", "-rf"])
def test_a_host_may_be_called_what_can_be_shown_and_kept(directory: Path, edit: Edit, name: str) -> None:
    edit("hosts.yaml", "gw1:", f'"{name}":')
    edit("switchguard.yaml", "device: gw1", f'device: "{name}"')
    assert load_site(directory).devices[0].name == name


@pytest.mark.parametrize("host", ["gw1.example.org", "2001:db8::7", "fe80::1%eth0", "bücher.example", "local"])
def test_a_host_is_reached_by_any_address_or_name(directory: Path, edit: Edit, host: str) -> None:
    edit("hosts.yaml", "hostname: 192.0.2.1", f'hostname: "{host}"')
    assert load_site(directory).endpoints["gw1"].host == host


def test_a_mistake_in_the_defaults_is_found_there(directory: Path) -> None:
    (directory / "defaults.yaml").write_text("data:\n  switchguard:\n    tiemout: 3s\n")
    assert "defaults.yaml:3: gw1: unknown key 'tiemout'; did you mean 'timeout'?" in complaint(directory)


def test_what_is_missing_is_named(directory: Path, tmp_path: Path) -> None:
    (directory / "hosts.yaml").unlink()
    assert "FileNotFoundError" in complaint(directory)
    (directory / "switchguard.yaml").unlink()
    assert complaint(directory) == "switchguard.yaml: cannot be read: No such file or directory"
    assert "is no directory with a switchguard.yaml" in complaint(tmp_path / "nowhere")


def test_a_file_that_is_no_text_is_named(directory: Path) -> None:
    (directory / "switchguard.yaml").write_bytes(b"\xff\xfe")
    assert complaint(directory).startswith("switchguard.yaml: is not UTF-8 text")
    (directory / "switchguard.yaml").write_bytes(b"a: \x00")
    assert complaint(directory).startswith("switchguard.yaml: no YAML")


def test_yaml_that_goes_in_circles_is_refused(directory: Path) -> None:
    (directory / "switchguard.yaml").write_text("poll: &a\n  nat: *a\n")
    assert complaint(directory).endswith("nested too deeply")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a\n", "switchguard.yaml:1: a mapping is expected here, `key: value` in each line, not a list"),
        ("hello\n", "switchguard.yaml:1: a mapping is expected here, `key: value` in each line, not 'hello'"),
        ("mode: observe\npoll: 7\n", "switchguard.yaml:2: poll: a mapping is expected here, `key: value` in each line"),
    ],
)
def test_a_file_or_value_that_is_no_mapping_is_told_in_plain_words(directory: Path, text: str, why: str) -> None:
    (directory / "switchguard.yaml").write_text(text)
    assert complaint(directory).startswith(why)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-12-01", datetime(2026, 12, 2, 8, tzinfo=UTC)),
        ("2026-12-01T18:00", datetime(2026, 12, 2, 2, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 7, 2, 7, tzinfo=UTC)),
        ("2026-12-01T18:00+01:00", datetime(2026, 12, 1, 17, tzinfo=UTC)),
    ],
)
def test_a_day_or_time_is_the_sites_and_a_day_counts_to_its_end(
    directory: Path, edit: Edit, written: str, meant: datetime
) -> None:
    edit("switchguard.yaml", "mode: enforce", "mode: enforce\ntime_zone: America/Los_Angeles")
    edit("switchguard.yaml", "until: 2026-12-01T18:00+01:00", f"until: {written}")
    edit("switchguard.yaml", "rules:\n", f"rules:\n  new: {{kind: new_device, known_before: {written}}}\n")
    policy = load_site(directory).policy
    assert policy.exemptions[1].until == meant
    assert policy.rules[0].params == new_device.Params(known_before=meant)


def test_without_a_time_zone_it_is_the_machines(directory: Path, edit: Edit) -> None:
    edit("switchguard.yaml", "until: 2026-12-01T18:00+01:00", "until: 2026-12-01")
    until = load_site(directory).policy.exemptions[1].until
    assert until == datetime(2026, 12, 2, tzinfo=machine_zone())


@pytest.mark.parametrize("written", ["9999-12-31", "0001-01-01T00:00", "2026-13-01", "2026-12-01T25:00"])
def test_a_day_that_no_calendar_has_room_for_is_a_typo(directory: Path, edit: Edit, written: str) -> None:
    edit("switchguard.yaml", "until: 2026-12-01T18:00+01:00", f"until: {written}")
    assert f"exempt.1.until: '{written}' is not a time" in complaint(directory)


# --- the reference ---------------------------------------------------------------------------------------------------


def test_the_reference_has_every_key_with_default_and_unit() -> None:
    lines = settings_reference().splitlines()
    assert (
        "| `poll.nat` | `1m` | duration: 10s, 5m, 2h, 2d, 1w | how often to read the whole NAT table and judge |"
        in lines
    )
    for start in (
        "| `mode` | `observe` | `observe` or `enforce` |",
        "| `zones.<name>.networks` | required | list of (network: 10.10.0.0/16) |",
        "| `exempt[].why` | required | text |",
        "| `rules.<name>.penalty[].limit` | – | rate: 64kbps, 20Mbps, 1Gbps |",
        "| `rules.<name>.penalty[].escalate` | `1x` | factor: 1.5x, 2x |",
        "| `rules.<name>.penalty[].lasts` | `2h` | duration, or `forever` |",
        "| `safeguards.share_of_clients` | `5%` | share: 5%, 12.5% |",
        "| `inventory.options` | – | mapping |",
        "| `snmp.port` | `161` | whole number |",
        "| `uplinks` | – | list |",
        "| `password` | – | reference to a secret |",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert all(re.fullmatch(r"\| `[^`]+` \| [^|]+ \| [^|]+ \| [^|]+ \|", it) for it in lines if it.startswith("| `"))
