"""VyOS gateways: 1.2 and 1.3, and the firewall of 1.4 and later.

Reads, with the commands of the shell below VyOS' own: `sudo conntrack -L -o extended` for each family, which counts
its rows; `ip -j` and `bridge -j` for neighbours, stations and interfaces (`show arp` has another layout from 1.4
on, at which the template of ntc-templates fails); the size from /proc. Its own tables are read from files
(`_vyos_tables`). What stands is taken from `show configuration commands`.

Writes by set and delete, commit and save; every commit is atomic. Never `commit-confirm`: unless told otherwise, it
ends in a reboot, as does `rollback`. 1.4 and later:
* block, of members of groups of our own (mac-group, address-group, network-group, and those of IPv6) called
  SWITCHGUARD, by rules of a ruleset SWITCHGUARD of each family, to which rule 1 of `forward filter` jumps. Where
  somebody else has rule 1, nothing is written: a later one may come too late. What has no members goes as a whole;
  members that no rule looks at are shown as damaged penalties until a release takes them away.
* ports, of addresses and subnets, likewise: groups called SWITCHGUARD-PORTS-1024, and rules that drop TCP and UDP from
  members to higher ports.
* limit, by a limiter SWITCHGUARD-UP for what comes into the LAN interfaces (it drops) and a shaper SWITCHGUARD-DOWN for
  what leaves there (it delays; all others share 10 Gbit/s), where these have no other policy. Whole kilobits only.
1.2 and 1.3 have no ruleset that all traffic passes, and no groups of MACs: only members of the address groups and
network groups SWITCHGUARD and SWITCHGUARD-PORTS-1024 are written, and only where an administrator's rule drops them:
    set firewall name LAN-IN rule 1 action drop
    set firewall name LAN-IN rule 1 source group address-group SWITCHGUARD
    set firewall name LAN-IN rule 2 action drop
    set firewall name LAN-IN rule 2 protocol tcp_udp
    set firewall name LAN-IN rule 2 source group address-group SWITCHGUARD-PORTS-1024
    set firewall name LAN-IN rule 2 destination port 1025-65535
Limits are written there as well, as `traffic-policy`, for addresses of one family only, on interfaces called eth, bond
and br.

A session cap cannot be expressed: `recent` counts attempts in a time. Nor can one ceiling for all limited clients: the
classes of a shaper are side by side below what everybody has, and a limiter polices each of its classes alone. Traffic
to the router itself is not blocked. Where `firewall global-options state-policy established` accepts, sessions outlive
a block until they are cleared.
Sources: VyOS documentation (configuration/firewall, groups, trafficpolicy, cli); vyos-1x.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from switchguard.core.changes import Facts
from switchguard.core.model import Address, Link, NatSize, NatUsage, Network
from switchguard.core.penalties import Block, RateLimit, RestrictPorts
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Capture, NatTable, Session

from . import _iproute, _vyos_tables
from ._conntrack import read_conntrack
from ._kernel_tables import LLDP, KernelTables
from ._lines import json_of, rows_of
from ._typed import Dialect, Typed
from ._vyos_config import DIALECT

DUMPS = ("sudo conntrack -L -o extended -f ipv4", "sudo conntrack -L -o extended -f ipv6")
ADDRESSES = "ip -j addr show"
SYSCTL = "/proc/sys/net/netfilter"
NAT_SIZE = f"cat {SYSCTL}/nf_conntrack_count {SYSCTL}/nf_conntrack_max && echo end"
_SHOWN = re.compile(r"conntrack(?: v\S+ \(conntrack-tools\))?: (\d+) flow entries have been (?:shown|deleted)\.")


class Vyos(Typed, KernelTables):
    platform = "vyos"
    facts = Facts(
        penalties={
            Block.kind: ("mac_adjacent", "address", "network"),
            RateLimit.kind: ("address",),
            RestrictPorts.kind: ("address", "network"),
        },
        directions="source",
        ownership="named set",
        unverified=(
            "nothing has been run on a VyOS router; the lines follow its documentation",
            "a user of the level admin may pipe `show configuration commands` and run sudo without a password",
            "a shaper of 10gbit leaves the other traffic of a slower interface as it was",
            "on 1.2 and 1.3 a group may lose its last member while a rule refers to it",
            "on 1.2 and 1.3 a policy may go in the same commit as its last interface",
        ),
    )
    captures: ClassVar[Mapping[str, Capture]] = _vyos_tables.CAPTURES

    # --- reading -----------------------------------------------------------------------------------------------------

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        return self.nat_table(session).usages

    def nat_table(self, session: Session) -> NatTable:
        """Both families. Idle times as if the router had Linux's own timeouts."""
        dumps = [_whole(session, command) for command in DUMPS]
        own = _iproute.own_addresses(session, rows_of(session, session.ask(ADDRESSES)))
        table = read_conntrack((dump.octets for dump in dumps), session.device.name, own=own)
        if table.unparsed:
            raise UnexpectedOutput(session.device.name, table.samples[0][1], "no row of the NAT table")
        if table.entries != (told := sum(dump.rows for dump in dumps)):
            raise UnexpectedOutput(session.device.name, f"{table.entries} rows", f"a NAT table of {told} rows")
        return table

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        return _vyos_tables.read(chunks, table, self.platform, inside)

    def nat_size(self, session: Session) -> NatSize:
        match session.ask(NAT_SIZE).split():
            case [entries, limit, "end"] if entries.isdecimal() and limit.isdecimal():
                return NatSize(session.device.name, int(entries), int(limit) or None)
            case said:
                raise UnexpectedOutput(session.device.name, " ".join(said), "not the two numbers of conntrack's size")

    def cli_links(self, session: Session) -> tuple[Link, ...]:
        return tuple(_iproute.lldp_neighbors(session, json_of(session, session.ask(f"sudo {LLDP}"))))

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect[Any]:
        """Rendered without a router to ask, it is that of 1.4 and later."""
        return DIALECT

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Sessions that these addresses and subnets began. Each costs a walk of the whole table."""
        commands = [f"sudo conntrack -D -f ipv{it.version} -s {quote(str(it))}" for it in addresses]
        return sum(_whole(session, command).rows for command in commands)


@dataclass(frozen=True, slots=True)
class _Dump:
    octets: bytes
    rows: int
    """As conntrack says."""


def _whole(session: Session, command: str) -> _Dump:
    """conntrack says how many on its standard error, which is the same terminal: mostly, but not surely, at the end."""
    lines = [line for line in session.ask(command).splitlines() if line.strip()]
    said = [found for line in lines if (found := _SHOWN.fullmatch(line.strip()))]
    if len(said) != 1:
        raise UnexpectedOutput(session.device.name, (lines or [""])[-1], "an answer of conntrack that counts nothing")
    rows = (line for line in lines if not _SHOWN.fullmatch(line.strip()))
    return _Dump("".join(f"{line}\n" for line in rows).encode(), int(said[0][1]))
