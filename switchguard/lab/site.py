"""A site directory for the lab, written as a person would write it: every command of switchguard works with it."""

import shutil
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from switchguard.errors import LabError
from switchguard.lab.enter import LAB_DIR
from switchguard.lab.frontends.certificate import CERTIFICATE
from switchguard.lab.makes import GATEWAYS
from switchguard.lab.topology import (
    COMMUNITY,
    PASSWORD,
    SNMP_AUTH_KEY,
    SNMP_PRIV_KEY,
    SNMP_USER,
    USERNAME,
    VLANS,
    Switch,
    Topology,
)

SECRETS = {
    "password": PASSWORD,
    "community": COMMUNITY,
    "snmp-auth-key": SNMP_AUTH_KEY,
    "snmp-priv-key": SNMP_PRIV_KEY,
}
"""File below secrets/ -> what is in it."""

SSH_PORT = 22

_DEFAULTS = """\
username: {username}
data:
  switchguard:
    mode: enforce
    password: {{file: secrets/password}}
    known_hosts: known_hosts
"""

_GROUPS = """\
gateway:
  data:
    switchguard:
      role: gateway
      snmp: {{version: "2c", community: {{file: secrets/community}}}}

core:
  data:
    switchguard:
      role: core
      snmp:
        version: "3"
        user: {snmp_user}
        auth_key: {{file: secrets/snmp-auth-key}}
        priv_key: {{file: secrets/snmp-priv-key}}

access:
  data:
    switchguard:
      role: access
      snmp: {{version: "2c", community: {{file: secrets/community}}}}
"""

_HOST = """\
{name}:
  hostname: {address}
  platform: {platform}
  groups: [{group}]
"""

_POLICY = """\
# The lab's policy: quick, because nobody wants to wait for a lab.
mode: enforce
poll: {{nat_size: 2s, nat: 2s, tables: 5s, counters: 5s, nat_ceiling: 100%}}
link: {{device: {gateway}, interface: wan0, capacity: 200Mbps}}
zones:
  {first}: {{networks: [{networks[0]}], enforce_at: core}}
  {second}: {{networks: [{networks[1]}], enforce_at: access}}
exempt:
  - {{network: {server}/32, why: the server that the internet visits}}
rules:
  swarm:
    kind: naughty_factor
    above: 0.8
    for_polls: 2
    penalty: {{block: mac, lasts: 2h, escalate: 2x, at_most: 2d}}
"""


def write(topology: Topology) -> Path:
    """The directory. LabError if a device's SSH host key cannot be had."""
    site = LAB_DIR / "site"
    _write_secrets(site / "secrets")
    (site / "known_hosts").write_text(_host_keys(topology))
    (site / "certificates").mkdir()
    for switch in topology.switches:
        if (shown := LAB_DIR / "state" / switch.name / CERTIFICATE).exists():
            shutil.copy(shown, site / "certificates" / f"{switch.name}.pem")
    (site / "defaults.yaml").write_text(_DEFAULTS.format(username=USERNAME))
    (site / "groups.yaml").write_text(_GROUPS.format(snmp_user=SNMP_USER))
    (site / "hosts.yaml").write_text(hosts(topology))
    (site / "switchguard.yaml").write_text(policy(topology))
    return site


def hosts(topology: Topology) -> str:
    """hosts.yaml: the gateway, the core switch, the access switches."""
    gateway = topology.gateway
    text = _HOST.format(name=gateway.name, address=gateway.management, platform=gateway.platform, group="gateway")
    key = ", key_file: secrets/operator_key" if gateway.platform == GATEWAYS[0] else ""
    text += f"  data: {{switchguard: {{lan_interfaces: [{', '.join(f'lan{vlan}' for vlan in gateway.lans)}]{key}}}}}\n"
    for switch in topology.switches:
        group = "core" if switch is topology.switches[0] else "access"
        make = switch.make
        text += "\n" + _HOST.format(name=switch.name, address=switch.management, platform=make.platform, group=group)
        settings = (make.over_https if switch in over_https(topology) else make.settings).format(switch.name)
        text += f"  data: {{switchguard: {{{settings}}}}}\n" if settings else ""
    return text


def over_https(topology: Topology) -> list[Switch]:
    """Every second switch of a make that takes HTTPS as well as SSH, so that both ways are gone."""
    makes: dict[str, list[Switch]] = {}
    for switch in topology.switches:
        if switch.make.over_https:
            makes.setdefault(switch.make.platform, []).append(switch)
    return [switch for switches in makes.values() for switch in switches[1::2]]


def policy(topology: Topology) -> str:
    """switchguard.yaml: one zone is enforced at the core, the other at the access switches, so that both are seen."""
    first, second = VLANS.values()
    return _POLICY.format(
        gateway=topology.gateway.name,
        first=first,
        second=second,
        networks=[lan.network for lan in topology.gateway.lans.values()],
        server=topology.client(topology.server).address.ip,
    )


def _write_secrets(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    for name, secret in SECRETS.items():
        (directory / name).write_text(secret + "\n")
    shutil.copy(LAB_DIR / "home" / "operator_key", directory / "operator_key")


def _host_keys(topology: Topology) -> str:
    """What the devices show now. In here nobody can stand in between; elsewhere compare fingerprints first."""
    by_port = {SSH_PORT: [topology.gateway.management]}
    for switch in topology.switches:
        if switch.make.ssh:
            by_port.setdefault(switch.make.listens, []).append(switch.management)
    return "".join(_scanned(port, addresses) for port, addresses in by_port.items())


def _scanned(port: int, addresses: Sequence[IPv4Address]) -> str:
    words = ["ssh-keyscan", "-T", "5", "-p", str(port), "-t", "ed25519,rsa,ecdsa", *map(str, addresses)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    known = {line.split()[0] for line in done.stdout.splitlines() if line and not line.startswith("#")}
    silent = [str(it) for it in addresses if not known & {str(it), f"[{it}]:{port}"}]
    if silent:
        raise LabError(f"no SSH host key from {', '.join(silent)}: {done.stderr.strip()}")
    return done.stdout
