"""The topology made real: namespaces, cables, addresses, packet filters and virtual switches."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from switchguard.errors import LabError
from switchguard.lab.enter import LAB_DIR
from switchguard.lab.kernel import entered
from switchguard.lab.plane import BRIDGE
from switchguard.lab.topology import (
    ANSWERING,
    INTERNET,
    MANAGEMENT,
    STATION,
    TABLE_LIMIT,
    WAN,
    Client,
    Switch,
    Topology,
)

ANSWERING_PORT = 6881
SERVED_PORT = 8080
"""What the gateway forwards to the lab's server, and what that one listens on."""

_GATEWAY_FILTER = """
table ip lab {{
    chain inbound {{
        type nat hook prerouting priority dstnat;
        iifname "wan0" tcp dport {served} dnat to {server}
    }}
    chain outbound {{
        type nat hook postrouting priority srcnat;
        oifname "wan0" masquerade
    }}
    chain full {{
        type filter hook forward priority filter;
        ct state new ct count over {limit} drop
    }}
}}
"""

_INTERNET_FILTER = """
table ip lab {{
    chain untracked {{
        type filter hook prerouting priority raw;
        ip daddr {answering} meta l4proto udp notrack
    }}
    chain inbound {{
        type nat hook prerouting priority dstnat;
        ip daddr {answering} meta l4proto tcp redirect to :{port}
    }}
    chain outbound {{
        type filter hook output priority filter;
        meta l4proto udp notrack
        icmp type destination-unreachable drop
    }}
}}
"""


def lay(topology: Topology) -> None:
    """Everything up to and including links that are up. LabError quotes the command that failed."""
    _ip(_cables(topology))
    for namespace in topology.namespaces:
        with entered(namespace):
            _set("net/ipv6/conf/all/disable_ipv6", 1)
            _set("net/ipv6/conf/default/disable_ipv6", 1)
            _ip(_settings(topology, namespace))
    for client in topology.clients:
        with entered(client.name):
            plug_in(client)
    _open_gateway(topology)
    _open_internet()


def _cables(topology: Topology) -> Iterator[str]:
    for namespace in topology.namespaces:
        yield f"netns add {namespace}"
    yield "link set lo up"
    yield "link add oob type bridge"
    yield f"address add {STATION} dev oob"
    yield "link set oob up"
    for device in topology.managed:
        yield f"link add oob-{device} type veth peer name mgmt0 netns {device}"
        yield f"link set oob-{device} master oob up"
    yield f"link add wan0 netns {topology.gateway.name} type veth peer name eth0 netns internet"
    for near, far in topology.cables():
        yield (
            f"link add {near.interface} address {near.mac} netns {near.namespace} type veth "
            f"peer name {far.interface} address {far.mac} netns {far.namespace}"
        )


def _settings(topology: Topology, namespace: str) -> Iterator[str]:
    """What `ip` has to do inside one namespace."""
    yield "link set lo up"
    gateway = topology.gateway
    if namespace in topology.managed:
        yield f"address add {topology.managed[namespace]}/{MANAGEMENT.prefixlen} dev mgmt0"
        yield "link set mgmt0 up"
    clients = {client.name for client in topology.clients}
    for near, far in topology.cables():
        for end in (near, far):
            if end.namespace == namespace and namespace not in clients:
                yield f"link set {end.interface} up"
    if namespace == gateway.name:
        for vlan, address in gateway.lans.items():
            yield f"address add {address} dev lan{vlan}"
        yield f"address add {WAN} dev wan0"
        yield "link set wan0 up"
        yield f"route add default via {INTERNET.ip}"
    if namespace == "internet":
        yield f"address add {INTERNET} dev eth0"
        yield "link set eth0 up"
        yield f"route add local {ANSWERING} dev lo"


def plug_in(client: Client) -> None:
    """The end of its cable, in whose namespace we are, becomes this client's interface; the client announces itself."""
    _set("net/ipv4/conf/eth0/arp_notify", 1)
    _without_offload("eth0")
    address = f"address add {client.address} dev eth0"
    _ip((f"link set eth0 address {client.mac} up", address, f"route add default via {client.gateway}"))


def _open_gateway(topology: Topology) -> None:
    """Forwarding, translation, accounting. The size of the table is the machine's, not the namespace's, and cannot be
    lowered in here: so the filter refuses new flows above our limit, and what /proc tells as the limit is ours."""
    gateway = topology.gateway
    server = topology.client(topology.server).address.ip
    told = LAB_DIR / "etc" / "nf_conntrack_max"
    told.write_text(f"{TABLE_LIMIT}\n")
    with entered(gateway.name):
        _set("net/ipv4/ip_forward", 1)
        _run("nft", "-f", "-", text=_GATEWAY_FILTER.format(served=SERVED_PORT, server=server, limit=TABLE_LIMIT))
        _set("net/netfilter/nf_conntrack_acct", 1)
        _set("net/netfilter/nf_conntrack_timestamp", 1)
        _run("mount", "--bind", str(told), "/proc/sys/net/netfilter/nf_conntrack_max")
        for vlan in gateway.lans:
            _without_offload(f"lan{vlan}")


def _open_internet() -> None:
    with entered("internet"):
        _run("nft", "-f", "-", text=_INTERNET_FILTER.format(answering=ANSWERING, port=ANSWERING_PORT))


def _without_offload(interface: str) -> None:
    """A userspace switch forwards frames as they are: checksums that nobody has computed would arrive wrong."""
    _run("ethtool", "-K", interface, "tx", "off")


# --- virtual switches ------------------------------------------------------------------------------------------------


def database_command(switch: Switch) -> list[str]:
    """Open vSwitch's configuration database for one switch; it has to run before the daemon."""
    sockets = LAB_DIR / "ovs" / switch.name
    options = [f"--remote=punix:{sockets / 'db.sock'}", f"--unixctl={sockets / 'db.ctl'}", "-vconsole:warn"]
    return ["ovsdb-server", str(sockets / "conf.db"), *options]


def daemon_command(switch: Switch) -> list[str]:
    """The forwarding daemon. `--enable-dummy` is the datapath that needs neither a kernel module nor /dev/net/tun.

    It goes before other processes, where we may say so: no switch forwards less because its processor is busy."""
    sockets = LAB_DIR / "ovs" / switch.name
    options = ["--enable-dummy", f"--unixctl={sockets / 'switch.ctl'}", "-vconsole:warn"]
    return [
        "nice",
        "-n",
        "-10",
        "env",
        f"OVS_RUNDIR={sockets}",
        "ovs-vswitchd",
        f"unix:{sockets / 'db.sock'}",
        *options,
    ]


def create_database(switch: Switch) -> None:
    sockets = LAB_DIR / "ovs" / switch.name
    sockets.mkdir()
    _run("ovsdb-tool", "create", str(sockets / "conf.db"), "/usr/share/openvswitch/vswitch.ovsschema")


def plug(switch: Switch) -> None:
    """Make the bridge and put the ports into it; comes back when the daemon forwards."""
    words = ["--", "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=dummy"]
    words.append(f'other_config:hwaddr="{switch.bridge_mac}"')
    for port in switch.ports:
        tag = f"tag={port.access_vlan}" if port.access_vlan else f"trunks={','.join(map(str, port.vlans))}"
        words += ["--", "add-port", BRIDGE, port.name, tag]
        words += ["--", "set", "interface", port.name, f"ofport_request={port.number}"]
    _run("ovs-vsctl", f"--db=unix:{LAB_DIR / 'ovs' / switch.name / 'db.sock'}", "--timeout=10", "init", *words)


# --- commands --------------------------------------------------------------------------------------------------------


def _ip(lines: Iterable[str]) -> None:
    _run("ip", "-batch", "-", text="\n".join(lines) + "\n")


def _set(path: str, value: int) -> None:
    """A sysctl of the network namespace that we are in."""
    try:
        Path("/proc/sys", path).write_text(f"{value}\n")
    except OSError as error:
        raise LabError(f"sysctl {path}: {error}") from error


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
