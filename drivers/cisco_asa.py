"""Cisco ASA, and Firepower running it: who uses the gateway, whom it lets through no more, and whom not at will.

Reads
* `show conn`: see `_asa_tables`. Which side the clients are on is told by the interfaces that the site names, else by
  the security levels of `show nameif`. `show conn detail` and `show xlate` are read from files (`switchguard analyze`).
* the number of connections over SNMP where it is configured: CISCO-FIREWALL-MIB, cfwConnectionStatValue, walked
  because some builds answer a GET only after that, else CISCO-UNIFIED-FIREWALL-MIB; `show conn count` otherwise.
* `show arp`, and over SNMP what an ASA tells (`_snmp_tables`). Routed, it has no forwarding table.
* `show running-config | include ...`, twice, whose `: end` proves that it is whole.

Writes
* block by address or subnet: an entry of the object-group `SWITCHGUARD-BLOCK`. The administrator makes the group with
  one entry that stays, since an access list takes no empty group, and denies it in a list that is bound:

      object-group network SWITCHGUARD-BLOCK
       network-object host 192.0.2.1
      access-list inside_in line 1 extended deny ip object-group SWITCHGUARD-BLOCK any
      access-group inside_in in interface inside

  While any of it is missing nothing of ours would be in force, so that nothing is written. Where in the list the line
  stands is the administrator's business. `shun` would need no preparation, but is lost at a reload and a failover.
* cap and limit of an address: classes of our own in the policy that the administrator applies to all interfaces
  (`service-policy global_policy global`, as every ASA begins with), with `per-client-max`, and with `police input` for
  both directions; see `_asa_policies`. The policy itself, its other classes and those of interfaces stay as they are;
  where one of them would decide instead, a cap or limit is refused. Limits are of IPv4 addresses.
* access lists and policies are asked for new connections only: those that stand keep their rate, and are not ended by a
  cap. `clear conn address A` ends them after a block.

A routed ASA cannot block a MAC.

Oddities: connections to the ASA itself are in its counts, but not in `show conn`.
Sources: ASA Series Command Reference and CLI Configuration Guide (object groups, access lists, service policies,
connection settings, QoS, show and clear conn, shun); documents of Cisco's TAC on connection flags; recordings of
genieparser; captures from public reports.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import ClassVar

from switchguard.core.changes import Change, Enforced, Facts, Slot
from switchguard.core.model import Address, Mac, NatSize, NatUsage, Neighbor, Network
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Capture, NatTable, Session

from . import _asa_policies, _asa_tables
from ._asa_policies import Policies
from ._asa_tables import Rank
from ._captured import require_whole_rows
from ._rows import rows
from ._snmp import bad_value, numbers_of, require_length
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Step, Typed

GROUP = "SWITCHGUARD-BLOCK"
STAYS = ip_network("192.0.2.1")
"""The administrator's entry (RFC 5737: nobody's address)."""
SHOW_CONFIG = (
    "show running-config | include ^object-group|^ network-object|^ group-object"
    f"|^access-list .* object-group {GROUP} |^access-group|^: end"
)
LIMITS = 40
"""A policy takes 63 classes. The administrator's, and those of caps, need some of them."""
CFW_CONNECTION_STAT_VALUE = "1.3.6.1.4.1.9.9.147.1.2.2.2.1.5"
_CURRENT_IP = (40, 6)
"""protoIp, currentInUse."""
CUFW_CONN_GLOBAL_NUM_ACTIVE = "1.3.6.1.4.1.9.9.491.1.1.1.6.0"


@dataclass(frozen=True, slots=True)
class Config:
    """What of a configuration concerns us."""

    entries: frozenset[Network] = frozenset()
    denied: bool = True
    """Whether an access list in force denies what they send."""
    lacks: str = ""
    """Why no entry can be added; empty where nothing is missing."""
    policies: Policies = field(default_factory=Policies)


class CiscoASA(Typed, SnmpTables):
    platform = "cisco_asa"
    facts = Facts(
        penalties={
            Block.kind: ("address", "network"),
            SessionCap.kind: ("address",),
            RateLimit.kind: ("address",),
        },
        directions="source",
        only_ipv4=frozenset({RateLimit.kind}),
        capacity={RateLimit.kind: LIMITS},
        ownership="named set",
        unverified=(
            "nothing has been run on an ASA; commands and texts follow its references and public captures",
            "`| include` takes alternatives, and matches whole lines of the configuration with their indentation",
            "clear conn answers with the number of connections that it deleted",
            "show nameif has the columns Interface, Name and Security",
            "a configuration has our classes as they were typed, perhaps with more behind, and any as any4 or any6",
            "the class of a limit sees what the client sends at its own interface and what it receives at the others, "
            "and every interface has a policer of its own",
            "a policer that is typed again replaces the one before",
        ),
    )
    captures: ClassVar[Mapping[str, Capture]] = _asa_tables.CAPTURES

    # --- reading -----------------------------------------------------------------------------------------------------

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        device = session.device.name
        rank = _asa_tables.by_interface(session.device.lan_interfaces) if session.device.lan_interfaces else None
        rank = rank or _asa_tables.by_level(dict(_levels(device, session.ask("show nameif"))))
        return _whole(device, session.ask("show conn"), rank)

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        return _asa_tables.read(chunks, self.platform, _asa_tables.by_address(inside), inside)

    def nat_size(self, session: Session) -> NatSize:
        counted = _counted(session) if session.speaks("snmp") else None
        if counted is None and session.speaks("cli"):
            counted = _in_use(session.device.name, session.ask("show conn count"))
        if counted is None:
            raise UnexpectedOutput(session.device.name, CFW_CONNECTION_STAT_VALUE, "the agent counts no connections")
        return NatSize(session.device.name, counted, None)

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_arp(session.device.name, session.ask("show arp")))

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect[Config]:
        return DIALECT

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Connections with one of these at either end."""
        return sum(_clear(session, ip_network(it)) for it in addresses)


# --- the configuration -----------------------------------------------------------------------------------------------

_HEAD = f"object-group network {GROUP}"
_ENTRY = re.compile(r" network-object (?:host )?(\S+)(?: ([\d.]+))?")
_DENIES = re.compile(rf"access-list (\S+) extended deny ip object-group {GROUP} any(?: log\b(?!.* inactive\b).*)?")
_BOUND = re.compile(r"access-group (\S+) (?:in interface \S+|global)\b.*")
_KNOWN = re.compile(r"object-group \S.*| (?:network|group)-object \S.*|access-(?:list|group) \S.*")


def _read(session: Session) -> Config:
    device, lines = session.device.name, _shown(session, SHOW_CONFIG, _KNOWN)
    entries: list[Network] = []
    section = ""
    for line in lines:
        section = section if line.startswith(" ") else line
        if section == _HEAD and line != _HEAD:
            entries.append(_entry(device, line))
    told = _shown(session, _asa_policies.SHOW_CONFIG, _asa_policies.KNOWN)
    policies = _asa_policies.read(device, told)
    return Config(frozenset(entries), bool(_denying(lines) & _bound(lines)), _lacks(lines, entries), policies)


def _shown(session: Session, command: str, known: re.Pattern[str]) -> list[str]:
    """UnexpectedOutput for an answer without its end, or a line that was not asked for."""
    lines = [line.rstrip() for line in session.ask(command).splitlines() if line.strip()]
    if not lines or lines[-1] != ": end":
        raise UnexpectedOutput(session.device.name, lines[-1] if lines else "", "a configuration without its end")
    for line in lines[:-1]:
        if not known.fullmatch(line):
            raise UnexpectedOutput(session.device.name, line)
    return lines[:-1]


def _entry(device: str, line: str) -> Network:
    found = _ENTRY.fullmatch(line)
    try:
        return ip_network("/".join(filter(None, found.groups())) if found else line)
    except ValueError:
        raise UnexpectedOutput(device, line, f"an entry of {GROUP} that we did not make:") from None


def _denying(lines: Iterable[str]) -> set[str]:
    """Access lists that deny the group."""
    return {found[1] for line in lines if (found := _DENIES.fullmatch(line))}


def _bound(lines: Iterable[str]) -> set[str]:
    return {found[1] for line in lines if (found := _BOUND.fullmatch(line))}


def _lacks(lines: Sequence[str], entries: Sequence[Network]) -> str:
    """What of the administrator's preparation is missing, as a sentence."""
    denying = _denying(lines)
    if _HEAD not in lines:
        return f"it has no `{_HEAD}`; make it, with `network-object host {STAYS.network_address}` in it"
    if not denying:
        return f"no access list denies `ip object-group {GROUP} any`, so that nothing of ours would be in force"
    if not denying & _bound(lines):
        names = ", ".join(sorted(denying))
        return f"{names}, which denies {GROUP}, is bound to no interface (`access-group {names} in interface ...`)"
    if STAYS not in entries:
        return f"{GROUP} lacks `network-object host {STAYS.network_address}`: without it the last release would fail"
    return ""


def _standing(device: str, config: Config) -> Enforced:
    """Where no list denies the group, its entries are told as what nobody wants: they would be in force as soon as one
    does again, so that a release may not be taken for done."""
    block = Block(by="address" if config.denied else "mac")
    blocks = {_slot(device, entry): block for entry in config.entries - {STAYS}}
    return {**blocks, **_asa_policies.standing(device, config.policies)}


def _slot(device: str, entry: Network) -> Slot:
    """A subnet of one address is that address."""
    one = entry.prefixlen == entry.max_prefixlen
    return Slot(device, Block.kind, address=entry.network_address if one else None, network=None if one else entry)


def _assume(changes: Sequence[Change]) -> Config:
    blocks, others = _apart(changes)
    entries = frozenset({STAYS, *(_who(change.slot) for change in blocks if change.before)})
    return Config(entries, policies=_asa_policies.assume(others))


def _apart(changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """Blocks, and what the service policy is for."""
    blocks = [change for change in changes if change.slot.kind == Block.kind]
    return blocks, [change for change in changes if change.slot.kind != Block.kind]


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    """Entering the group would make it, if it were not there: the obstacle is asked before."""
    blocks, others = _apart(changes)
    in_group = (step for change in blocks if (step := _step(change, config)))
    return (*in_group, *_asa_policies.steps(others, config.policies))


def _step(change: Change, config: Config) -> Step | None:
    slot = change.slot
    if change.after not in (None, Block(by="address")):
        raise DeviceError(slot.device, f"ASA cannot express {change.after} in {slot}")
    entry = _who(slot)
    if entry == STAYS:
        raise DeviceError(slot.device, f"{entry} keeps {GROUP} from being empty, and is nobody's address")
    line = f" network-object {_spelled(entry)}"
    if (entry in config.entries) == (change.after is not None):
        return None
    if change.after:
        return Step((_HEAD, line, "exit"), plus=(_HEAD, line))
    return Step((_HEAD, f" no{line}", "exit"), minus=(_HEAD, line))


def _who(slot: Slot) -> Network:
    who = slot.address or slot.network
    if who is None:
        raise DeviceError(slot.device, f"a block needs an address or a subnet, not {slot}")
    return ip_network(who)


def _spelled(entry: Network) -> str:
    if entry.prefixlen == entry.max_prefixlen:
        return f"host {entry.network_address}"
    return entry.with_netmask.replace("/", " ") if isinstance(entry, IPv4Network) else str(entry)


def _obstacle(slot: Slot, config: Config) -> str:
    return config.lacks if slot.kind == Block.kind else _asa_policies.obstacle(slot, config.policies)


DIALECT: Dialect[Config] = Dialect(_read, _assume, _standing, _steps, _obstacle)


# --- show commands ---------------------------------------------------------------------------------------------------

_NAMEIF_HEADING = re.compile(r"Interface +Name +Security")
_NAMEIF_ROW = re.compile(r"[A-Z]\S*(?: \d\S*)? +(\S+) +(\d{1,3})")
_ARP_ROW = re.compile(r"\t?\s*(\S+) (\d+(?:\.\d+){3})(?:/\d+)? ([0-9a-f]{4}(?:\.[0-9a-f]{4}){2}) (\d+|-|alias)")
_DELETED = re.compile(r"(\d+) connection(?:s|\(s\))? deleted\b")


def _levels(device: str, text: str) -> Iterator[tuple[str, int]]:
    for row in rows(device, text, _NAMEIF_ROW, _NAMEIF_HEADING):
        yield row[1], int(row[2])


def _whole(device: str, text: str, rank: Rank) -> tuple[NatUsage, ...]:
    """UnexpectedOutput for a table with a line that is none of its own, without a heading, or cut short."""
    whole = text if text.endswith("\n") else f"{text}\n"
    table = require_whole_rows(device, _asa_tables.read([whole.encode()], device, rank))
    if not table.complete or not any(map(_asa_tables.IN_USE.fullmatch, text.splitlines())):
        raise UnexpectedOutput(device, text.strip()[-80:], f"{table.entries} rows of more connections, up to")
    return tuple(sorted(table.usages, key=lambda usage: usage.address.packed))


def _counted(session: Session) -> int | None:
    stats = numbers_of(session, CFW_CONNECTION_STAT_VALUE)
    require_length(session, CFW_CONNECTION_STAT_VALUE, stats, len(_CURRENT_IP))
    if _CURRENT_IP in stats:
        return stats[_CURRENT_IP]
    value = session.get([CUFW_CONN_GLOBAL_NUM_ACTIVE])[CUFW_CONN_GLOBAL_NUM_ACTIVE]
    if value is not None and not isinstance(value, int):
        raise bad_value(session, CUFW_CONN_GLOBAL_NUM_ACTIVE, (), value)
    return value


def _in_use(device: str, text: str) -> int:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    found = _asa_tables.IN_USE.fullmatch(lines[0]) if lines else None
    strange = [line for line in lines[1:] if not _asa_tables.NOISE.fullmatch(line)]
    if not found or strange:
        raise UnexpectedOutput(device, (strange or lines or [""])[0], "no count of connections")
    return int(found[1])


def _arp(device: str, text: str) -> Iterator[Neighbor]:
    """Without what the ASA answers for itself (`alias`). Whoever asks is a neighbour: an empty table was cut off."""
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines or [""]:
        found = _ARP_ROW.fullmatch(line.strip())
        if not found:
            raise UnexpectedOutput(device, line)
        try:
            neighbor = Neighbor(device, found[1], IPv4Address(found[2]), Mac.parse(found[3]))
        except ValueError:
            raise UnexpectedOutput(device, line) from None
        if found[4] != "alias":
            yield neighbor


def _clear(session: Session, whom: Network) -> int:
    one = whom.prefixlen == whom.max_prefixlen
    if not one and whom.version == 6:
        raise DeviceError(session.device.name, f"clear conn takes a netmask, which {whom} has not")
    words = str(whom.network_address) if one else whom.with_netmask.replace("/", " netmask ")
    answer = session.ask(f"clear conn address {words}")
    deleted = _DELETED.findall(answer)
    if not deleted:
        raise UnexpectedOutput(session.device.name, answer.strip(), "no count of deleted connections")
    return sum(map(int, deleted))
