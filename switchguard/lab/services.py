"""The lab's daemons: which there are, how they are configured, and when they answer."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from switchguard.errors import LabError
from switchguard.lab import wires
from switchguard.lab.enter import LAB_DIR
from switchguard.lab.kernel import entered
from switchguard.lab.topology import (
    COMMUNITY,
    SNMP_AUTH_KEY,
    SNMP_PRIV_KEY,
    SNMP_USER,
    STATION,
    USERNAME,
    Gateway,
    Switch,
    Topology,
)

PATIENCE_S = 10.0
_POLL_S = 0.02
_LOG_LINES = 8

_CACHE_COMMUNITY = "lab-caches"
_NET_SNMP_CACHES = "1.3.6.1.4.1.8072.1.5.3.1.2"
"""nsCacheTimeout (NET-SNMP-AGENT-MIB): seconds that snmpd answers from memory, indexed by the table's OID."""
_CACHED = ("1.3.6.1.2.1.4.35", "1.3.6.1.2.1.2.2")
"""The neighbour table, which ipNetToMedia comes from as well, and ifTable, which ifXTable comes from."""
_KERNEL_TABLES = ("ifTable", "ifXTable", "at", "ip", "ipAddressTable", "inetNetToMediaTable")
"""Modules of snmpd that would tell what the kernel calls interfaces."""

SNMPD_CONF = """\
agentaddress udp:{address}:161
rocommunity {community}
rwcommunity {cache_community} {station} .1.3.6.1.4.1.8072.1.5
createUser {user} SHA {auth_key} AES {priv_key}
rouser {user} priv
dontLogTCPWrappersConnects yes
sysName {name}
sysDescr {description}
"""

SSHD_CONF = """\
Port 22
ListenAddress {address}
HostKey {home}/host_key
AuthorizedKeysFile {home}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication yes
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 50
MaxSessions 50
"""

LOGIN_PROFILE = (
    "export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\nPS1='netadmin@gw:~$ '\nunset PROMPT_COMMAND\n"
)
"""An ordinary login lacks /usr/sbin. A prompt that ends in # makes netmiko suspect another mode and wait for 10 s."""


@dataclass(frozen=True, slots=True)
class Service:
    """One daemon in the foreground. `answers` is asked again and again until it says yes."""

    name: str
    namespace: str
    command: tuple[str, ...]
    answers: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Running:
    service: Service
    process: subprocess.Popen[bytes]
    log: Path


def start_all(topology: Topology) -> list[Running]:
    """Everything, switches first, since the others talk through them. LabError ends with the log of what failed."""
    for switch in topology.switches:
        wires.create_database(switch)
    databases = start([_database(switch) for switch in topology.switches])
    daemons = start([_daemon(switch) for switch in topology.switches])
    for switch in topology.switches:
        wires.plug(switch)
    _furnish_gateway(topology.gateway)
    login = _vyos if topology.gateway.platform == "vyos" else _sshd
    rest = [_internet(), login(topology.gateway), _gateway_snmpd(topology.gateway)]
    rest += [service(switch) for switch in topology.switches for service in (_switch_snmpd, _front_end)]
    servers = start(rest)
    for name in topology.front_ends:
        state = LAB_DIR / "state" / name
        shutil.copy(state / "startup-config", state / "factory-config")
    _shorten_caches(topology.gateway.management)
    return [*databases, *daemons, *servers]


def start(services: Iterable[Service]) -> list[Running]:
    """Start them together and wait until each answers. LabError for one that dies or stays silent."""
    running = [_spawn(service) for service in services]
    deadline = time.monotonic() + PATIENCE_S
    waiting = running
    while waiting := [each for each in waiting if not _answers(each)]:
        if time.monotonic() > deadline:
            names = ", ".join(each.service.name for each in waiting)
            raise LabError(f"{names}: no answer within {PATIENCE_S:.0f} s{_tail(waiting[0].log)}")
        time.sleep(_POLL_S)
    return running


def _spawn(service: Service) -> Running:
    log = LAB_DIR / "log" / f"{service.name}.log"
    with log.open("wb") as output, entered(service.namespace):
        process = subprocess.Popen(service.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    return Running(service, process, log)


def _answers(running: Running) -> bool:
    status = running.process.poll()
    if status is not None:
        raise LabError(f"{running.service.name} ended with status {status}{_tail(running.log)}")
    return running.service.answers()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "; its log ends:\n" + "\n".join(lines) if lines else "; its log is empty"


# --- the services ----------------------------------------------------------------------------------------------------


def _database(switch: Switch) -> Service:
    socket_file = LAB_DIR / "ovs" / switch.name / "db.sock"
    return Service(f"{switch.name}-database", switch.name, tuple(wires.database_command(switch)), socket_file.exists)


def _daemon(switch: Switch) -> Service:
    socket_file = LAB_DIR / "ovs" / switch.name / "switch.ctl"
    return Service(f"{switch.name}-plane", switch.name, tuple(wires.daemon_command(switch)), socket_file.exists)


def _internet() -> Service:
    command = (sys.executable, "-m", "switchguard.lab.traffic", "internet")
    return Service("internet", "internet", command, partial(_listens_in, "internet", wires.ANSWERING_PORT))


def _front_end(switch: Switch) -> Service:
    state = LAB_DIR / "state" / switch.name
    state.mkdir(exist_ok=True)
    where = f"{switch.management}:{switch.make.listens}"
    module = f"switchguard.lab.frontends.{switch.make.front_end}"
    command = (sys.executable, "-m", module, "--switch", switch.name, "--listen", where, "--state", str(state))
    answers = partial(listens, switch.management, switch.make.listens)
    return Service(f"{switch.name}-{switch.make.front_end}", switch.name, command, answers)


def _sshd(gateway: Gateway) -> Service:
    conf = LAB_DIR / "etc" / "sshd_config"
    conf.write_text(SSHD_CONF.format(address=gateway.management, home=LAB_DIR / "home"))
    # sshd re-executes itself and therefore wants its whole path
    command = ("/usr/sbin/sshd", "-D", "-e", "-f", str(conf))
    return Service("gw-sshd", gateway.name, command, partial(listens, gateway.management, 22))


def _vyos(gateway: Gateway) -> Service:
    state = LAB_DIR / "state" / gateway.name
    state.mkdir(exist_ok=True)
    where = f"{gateway.management}:22"
    module = "switchguard.lab.frontends.vyos"
    command = (sys.executable, "-m", module, "--listen", where, "--state", str(state))
    return Service(f"{gateway.name}-vyos", gateway.name, command, partial(listens, gateway.management, 22))


def _gateway_snmpd(gateway: Gateway) -> Service:
    conf = _snmpd_conf(gateway.name, gateway.management, "Linux gw, the lab's gateway", ".1.0.8802")
    return _snmpd(gateway.name, gateway.management, conf)


def _switch_snmpd(switch: Switch) -> Service:
    """The interface and bridge tables are the vendor's, so snmpd's own view of the kernel is switched off."""
    conf = _snmpd_conf(switch.name, switch.management, switch.make.description, ".1.3.6.1.2.1", ".1.0.8802")
    return _snmpd(switch.name, switch.management, conf, "-I", f"-{','.join(_KERNEL_TABLES)}")


def _snmpd_conf(name: str, address: IPv4Address, description: str, *ours: str) -> str:
    """`ours` are the subtrees that lab/mib.py answers, where snmpd has nothing of its own."""
    conf = SNMPD_CONF.format(
        name=name,
        address=address,
        description=description,
        station=STATION.ip,
        community=COMMUNITY,
        cache_community=_CACHE_COMMUNITY,
        user=SNMP_USER,
        auth_key=SNMP_AUTH_KEY,
        priv_key=SNMP_PRIV_KEY,
    )
    agent = f"{sys.executable} -m switchguard.lab.mib --device {name}"
    return conf + "".join(f"pass_persist {subtree} {agent}\n" for subtree in ours)


def _snmpd(name: str, address: IPv4Address, text: str, *options: str) -> Service:
    conf, memory = LAB_DIR / "etc" / f"snmpd-{name}.conf", LAB_DIR / "state" / f"snmpd-{name}"
    conf.write_text(text)
    memory.mkdir()
    variables = (f"SNMP_PERSISTENT_DIR={memory}", "MIBS=")
    command = ("env", *variables, "snmpd", "-f", "-Lo", "-C", "-c", str(conf), *options)
    return Service(f"{name}-snmpd", name, command, partial(_snmp_answers, address))


def _furnish_gateway(gateway: Gateway) -> None:
    """Host key, the operator's key, and a login that finds its programs."""
    home = LAB_DIR / "home"
    for name in ("host_key", "operator_key"):
        words = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            f"{USERNAME}@{gateway.name}",
            "-f",
            str(home / name),
        ]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    (home / "authorized_keys").write_text((home / "operator_key.pub").read_text())
    (home / ".bash_profile").write_text(LOGIN_PROFILE)
    (home / ".bashrc").write_text(LOGIN_PROFILE)


def _shorten_caches(address: IPv4Address) -> None:
    """snmpd remembers the ARP table for 5 s and counters for 3 s: in a lab that is for ever."""
    settings = [word for table in _CACHED for word in (f".{_NET_SNMP_CACHES}.{table}", "i", "0")]
    words = ["snmpset", "-v2c", "-c", _CACHE_COMMUNITY, "-Oq", str(address), *settings]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"MIBS": ""})
    if done.returncode != 0:
        raise LabError(f"snmpd on the gateway keeps its caches: {done.stderr.strip()}")


# --- does it answer? -------------------------------------------------------------------------------------------------


def listens(address: IPv4Address, port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(_POLL_S * 5)
        return probe.connect_ex((str(address), port)) == 0


def _listens_in(namespace: str, port: int) -> bool:
    with entered(namespace):
        return listens(IPv4Address("127.0.0.1"), port)


def _snmp_answers(address: IPv4Address) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.settimeout(_POLL_S)
        try:
            probe.connect((str(address), 161))
            probe.send(_get_sys_uptime(COMMUNITY))
            return bool(probe.recv(1500))
        except OSError:
            return False


def _get_sys_uptime(community: str) -> bytes:
    """A GetRequest for sysUpTime.0 in SNMPv2c (RFC 3416), by hand: all lengths are short."""

    def tagged(tag: int, content: bytes) -> bytes:
        return bytes((tag, len(content))) + content

    binding = tagged(0x30, tagged(0x06, bytes((0x2B, 6, 1, 2, 1, 1, 3, 0))) + tagged(0x05, b""))
    zero = tagged(0x02, b"\0")
    request = tagged(0xA0, tagged(0x02, b"\x01") + zero + zero + tagged(0x30, binding))
    return tagged(0x30, tagged(0x02, b"\x01") + tagged(0x04, community.encode()) + request)
