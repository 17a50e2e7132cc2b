"""Penalties where iptables fills netfilter: sets of ipset for addresses, and a chain `switchguard` in two tables.

    raw      PREROUTING -> switchguard    blocks by MAC, a rule for each; what blocked addresses send
    filter   FORWARD    -> switchguard    what is sent to blocked addresses; caps, limits and ports

    sg_block_ip4, sg_block_net4           addresses (hash:ip) and subnets (hash:net), and the same with 6
    sg_cap_100_ip4                        at most so many sessions of each member
    sg_limit_64k_ip4, sg_limit_64k_20M_ip4  policing, each way and family on its own; 20M for all together
    sg_ports_1024_ip4, sg_ports_1024_net4   no TCP or UDP to ports above it

Members come and go by `ipset restore -exist`. Rules follow from the names of the sets and are only written when one is
missing: the chain is then written anew by `iptables-restore --noflush`, which is atomic for a table and leaves other
chains alone. Our jump comes first in its chain, or nothing of ours is in force: what an administrator, or Docker, puts
before it could let packets pass. The next push puts it first again. A block that is not wholly in force is told as one
that nobody wants: what is left of it, in the other table or family, stops its client until it is taken away.

MACs are rules and not members of a hash:mac: that came with Linux 3.18 and is often not built, while `-m mac` is
everywhere; those blocked are few. Where IPv6 is switched off, nothing is written for it.

Oddities: whenever anybody changes a rule of the table, the kernel builds all of its connlimits anew, and they count
from 0: on Linux 6.18 a capped client can then begin as many sessions again, beside those that it has. connlimit stands
before the state, so that kernels that also count packets of older sessions catch up. hashlimit counts in 16 octets, and
lets a second's worth pass at once (iptables refuses less). ipset cannot try out anything, so a preview only tries rules
for sets that exist. Nothing survives a restart of the gateway; the next cycle puts it back. Names of sets have 31
characters at most.
Sources: iptables-extensions(8), ipset(8), and the lines run on Linux 6.18 with iptables 1.8.9, both legacy and nft.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._lines import lines_of

CHAIN = "switchguard"
HOOKS = {"raw": "PREROUTING", "filter": "FORWARD"}
"""Table -> the chain of it that leads to ours."""
PROGRAMS = {4: "iptables", 6: "ip6tables"}
READ = (
    "echo '# family 4' && iptables-save -t raw && iptables-save -t filter && if [ -e /proc/net/if_inet6 ]; then "
    "echo '# family 6' && ip6tables-save -t raw && ip6tables-save -t filter; fi && "
    "for it in $(ipset list -n | grep -E '^sg_(block|(cap|limit|ports)_[0-9kMG_]+)_(ip|net)[46]$'); "
    "do ipset save $it || exit 1; done && echo end"
)
SETS = "ipset restore -exist"
_LONGEST_NAME = 31
_LEAST_BPS = 128
_MOST_BPS = 8 * (1 << 30)
_MOST = {"cap": 1_000_000, "ports": 65535}
_RATE = r"\d+[kMG]?"
_SET = re.compile(
    rf"sg_(?P<kind>block|cap_(?P<cap>\d+)|limit_(?P<limit>{_RATE})(?:_(?P<box>{_RATE}))?|ports_(?P<ports>\d+))"
    r"_(?P<of>ip|net)(?P<family>[46])"
)
_JUMP = f"-j {CHAIN}"
_OUR_RULE = re.compile(
    r"-m mac --mac-source (?P<mac>[0-9A-Fa-f:]{17}) -j DROP"
    r"|(?:-p (?:tcp|udp) )?-m set --match-set (?P<set>sg_\w+) (?P<side>src|dst) .*-j DROP"
)
_OTHER = re.compile(r"#.*|:\S+ \S+ \[\d+:\d+\]|\[\d+:\d+\] -A .*")
_MEMBER = re.compile(r"add (\S+) ([0-9a-f.:/]+)(?: \S.*)?")
_UNITS = (("G", 10**9), ("M", 10**6), ("k", 10**3), ("", 1))


@dataclass(frozen=True, slots=True)
class _Chain:
    """Ours, in one table of one family."""

    jumps: tuple[str, ...] = ()
    """The rules of the chain that leads to ours, in their order."""
    there: frozenset[tuple[str, str]] = frozenset()
    """(Set, side) that a rule looks into, and ("", MAC)."""

    @property
    def leads(self) -> bool:
        return self.jumps[:1] == (_JUMP,)


@dataclass(frozen=True, slots=True)
class _Standing:
    chains: Mapping[tuple[int, str], _Chain]
    """(Family, table) -> our chain there; families that the gateway has."""
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Name -> members."""

    def macs(self) -> frozenset[str]:
        """Those that are dropped in every family."""
        found = self._dropped()
        return frozenset.intersection(*found) if found else frozenset()

    def macs_somewhere(self) -> frozenset[str]:
        return frozenset[str]().union(*self._dropped())

    def _dropped(self) -> list[frozenset[str]]:
        """By family."""
        return [
            frozenset(mac for name, mac in chain.there if not name) if chain.leads else frozenset[str]()
            for (_, table), chain in self.chains.items()
            if table == "raw"
        ]

    def in_force(self, name: str) -> bool:
        """Whether every rule that the set needs is there, and packets get there."""
        family = int(_named(name)["family"])
        return all(
            (chain := self.chains.get((family, table), _Chain())).leads and looked_into <= chain.there
            for table in HOOKS
            if (looked_into := _looked_into(name, table))
        )


# --- places ----------------------------------------------------------------------------------------------------------


def _place_of(slot: Slot, penalty: Penalty) -> tuple[str, str]:
    """Set and member, or "" and a MAC. DeviceError for what cannot be expressed."""
    mac, who = slot.station.mac, slot.address or slot.network
    if penalty == Block() and mac is not None and who is None and mac.value and not mac.is_multicast:
        return "", str(mac)
    kind = _kind_of(penalty)
    alone = slot.address is None or slot.network is None
    if kind and who is not None and alone and (slot.address is not None or _takes_subnets(penalty)):
        prefixed = slot.network is not None
        name = f"sg_{kind}_{'net' if prefixed else 'ip'}{who.version}"
        if len(name) <= _LONGEST_NAME and not (slot.network is not None and slot.network.prefixlen == 0):
            return name, str(who)
    raise DeviceError(slot.device, f"{penalty} cannot be put on {who or slot.station} with ipset and iptables")


def _takes_subnets(penalty: Penalty) -> bool:
    return isinstance(penalty, Block | RestrictPorts)


def _kind_of(penalty: Penalty) -> str:
    """The part of a set's name that says what happens to its members; empty for what no set can do."""
    match penalty:
        case Block(by="address"):
            return "block"
        case SessionCap(sessions=value) | RestrictPorts(up_to=value) if 0 <= value <= _MOST[penalty.kind]:
            return f"{penalty.kind}_{value}"
        case RateLimit(bits_per_second=bps, within=box):
            if all(_LEAST_BPS <= it <= _MOST_BPS for it in (bps, bps if box is None else box)):
                return f"limit_{_short(bps)}" + ("" if box is None else f"_{_short(box)}")
    return ""


def _short(number: int) -> str:
    return next(f"{number // unit}{letter}" for letter, unit in _UNITS if number % unit == 0)


def _long(text: str) -> int:
    letter = text[-1] if text[-1].isalpha() else ""
    return int(text.removesuffix(letter)) * dict(_UNITS)[letter]


def _named(name: str) -> re.Match[str]:
    found = _SET.fullmatch(name)
    if not found:
        raise ValueError(f"{name} is no set of ours")
    return found


def _penalty(name: str) -> Penalty:
    found = _named(name)
    if found["cap"]:
        return SessionCap(int(found["cap"]))
    if found["limit"]:
        return RateLimit(_long(found["limit"]), _long(found["box"]) if found["box"] else None)
    return RestrictPorts(int(found["ports"])) if found["ports"] else Block("address")


def _slot(device: str, name: str, member: str) -> Slot:
    """ValueError for a member that is no address, or no subnet."""
    kind = _penalty(name).kind
    if _named(name)["of"] == "net":
        return Slot(device, kind, network=ip_network(member))
    return Slot(device, kind, address=ip_address(member))


# --- rules -----------------------------------------------------------------------------------------------------------


def _rules(name: str, table: str) -> Iterator[tuple[str, str]]:
    """(Side, what follows the look into the set) of the rules that a set needs in a table."""
    penalty = _penalty(name)
    family = _named(name)["family"]
    match table, penalty:
        case "raw", Block():
            yield "src", ""
        case "filter", Block():
            yield "dst", ""
        case "filter", SessionCap(sessions=most):
            length = 32 if family == "4" else 128
            yield (
                "src",
                (
                    f" -m connlimit --connlimit-above {most} --connlimit-mask {length} --connlimit-saddr"
                    " -m conntrack --ctstate NEW"
                ),
            )
        case "filter", RateLimit():
            yield from _policing(penalty, family)
        case "filter", RestrictPorts(up_to=most):
            for protocol in ("tcp", "udp"):
                yield "src", f" -p {protocol} -m {protocol} ! --dport 0:{most}"


def _policing(limit: RateLimit, family: str) -> Iterator[tuple[str, str]]:
    """First the member's own slice, then what all have together: what is dropped uses up nothing of the box."""
    slice_ = _short(limit.bits_per_second)
    for side, way in (("src", "u"), ("dst", "d")):
        of_each = f" --hashlimit-mode {side}ip"
        yield side, f"{_meter(limit.bits_per_second, f'sg{slice_}{way}{family}')}{of_each}"
        if limit.within is not None:
            yield side, _meter(limit.within, f"sgb{_short(limit.within)}{way}{family}")


def _meter(bits_per_second: int, name: str) -> str:
    octets = bits_per_second // 8
    burst = max(16_000, octets + octets // 16 + 64)
    return f" -m hashlimit --hashlimit-above {octets}b/s --hashlimit-burst {burst}b --hashlimit-name {name}"


def _looked_into(name: str, table: str) -> frozenset[tuple[str, str]]:
    return frozenset((name, side) for side, _ in _rules(name, table))


# --- on a gateway ----------------------------------------------------------------------------------------------------


def listed(session: Session) -> Mapping[Slot, Penalty]:
    """Members of sets that rules look into, and MACs."""
    stands, device = _read(session), session.device.name
    macs = {mac: Block("mac" if mac in stands.macs() else "address") for mac in stands.macs_somewhere()}
    found = {name: _penalty(name) if stands.in_force(name) else _half(name) for name in stands.sets}
    return {Slot(device, Block.kind, Station(mac=Mac.parse(mac))): block for mac, block in macs.items()} | {
        _slot(device, name, member): penalty
        for name, penalty in found.items()
        if penalty is not None
        for member in stands.sets[name]
    }


def _half(name: str) -> Penalty | None:
    """What members of a set are told with that is not in force; None: there is only one table that they need."""
    return Block("mac") if isinstance(_penalty(name), Block) else None


def check(session: Session, changes: Sequence[Change]) -> None:
    """CommandRefused if iptables would not take our rules. Sets that do not exist yet are left out."""
    stands, (going, coming) = _read(session), _places(changes)
    for family, text in _texts(stands, stands.sets, _macs(stands, going, coming)):
        session.feed(f"{PROGRAMS[family]}-restore --test --noflush", text)


def apply(session: Session, changes: Sequence[Change]) -> None:
    """Members first, then rules: a set that no rule looks into yet does nothing. What is in one that was not in force
    stood for nothing, and must not come into force by our rules."""
    stands, (going, coming) = _read(session), _places(changes)
    idle = [name for name in stands.sets if not stands.in_force(name)]
    if script := [*(f"flush {name}" for name in idle), *_members(going, coming)]:
        session.feed(SETS, "".join(f"{line}\n" for line in script))
    names = dict.fromkeys([*stands.sets, *(name for name, _ in coming if name)])
    for family, text in _texts(stands, names, _macs(stands, going, coming)):
        session.feed(f"{PROGRAMS[family]}-restore --noflush", text)


def element(slot: Slot, penalty: Penalty) -> str:
    name, member = _place_of(slot, penalty)
    return f"ipset {name} {member}" if name else f"iptables {CHAIN} --mac-source {member}"


def script(changes: Sequence[Change]) -> tuple[str, ...]:
    """Everything that is typed where nothing of ours stands but what `before` says: the sets, then the rules."""
    going, coming = _places(changes)
    empty = _Standing({(family, table): _Chain() for family in PROGRAMS for table in HOOKS})
    names = dict.fromkeys(name for name, _ in (*going, *coming) if name)
    macs = frozenset(member for name, member in coming if not name)
    if not going and not coming:
        return ()
    return (*_members(going, coming), *(line for _, text in _texts(empty, names, macs) for line in text.splitlines()))


_Places = tuple[tuple[str, str], ...]


def _places(changes: Sequence[Change]) -> tuple[_Places, _Places]:
    return (
        tuple(_place_of(change.slot, change.before) for change in changes if change.before is not None),
        tuple(_place_of(change.slot, change.after) for change in changes if change.after is not None),
    )


def _members(going: _Places, coming: _Places) -> Iterator[str]:
    for name in dict.fromkeys(name for name, _ in (*going, *coming) if name):
        found = _named(name)
        yield f"create {name} hash:{found['of']} family {'inet' if found['family'] == '4' else 'inet6'}"
    yield from (f"del {name} {member}" for name, member in going if name)
    yield from (f"add {name} {member}" for name, member in coming if name)


def _macs(stands: _Standing, going: _Places, coming: _Places) -> frozenset[str]:
    removed, added = (frozenset(member for name, member in places if not name) for places in (going, coming))
    return stands.macs() - removed | added


def _texts(stands: _Standing, names: Iterable[str], macs: frozenset[str]) -> Iterator[tuple[int, str]]:
    """For each family what `iptables-restore --noflush` gets; nothing where all is as it should be."""
    for family in sorted({family for family, _ in stands.chains}):
        mine = [name for name in sorted(names) if _named(name)["family"] == str(family)]
        lines = [line for table in HOOKS for line in _table(table, stands.chains[family, table], mine, macs)]
        if lines:
            yield family, "".join(f"{line}\n" for line in lines)


def _table(table: str, chain: _Chain, names: Sequence[str], macs: frozenset[str]) -> Iterator[str]:
    dropped = sorted(macs) if table == "raw" else []
    wanted = frozenset().union(*(_looked_into(name, table) for name in names), (("", mac) for mac in dropped))
    if wanted == chain.there and (chain.leads or not wanted):
        return
    yield f"*{table}"
    yield f":{CHAIN} - [0:0]"
    yield from (f"-A {CHAIN} -m mac --mac-source {mac} -j DROP" for mac in dropped)
    for name in names:
        for side, rest in _rules(name, table):
            yield f"-A {CHAIN} -m set --match-set {name} {side}{rest} -j DROP"
    if not chain.leads:
        yield from (f"-D {HOOKS[table]} {_JUMP}" for jump in chain.jumps if jump == _JUMP)
        yield f"-I {HOOKS[table]} 1 {_JUMP}"
    yield "COMMIT"


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(session: Session) -> _Standing:
    lines = lines_of(session, session.ask(READ))
    if lines[-1:] != ["end"]:
        raise UnexpectedOutput(session.device.name, (lines or [""])[-1], "an answer that was cut off")
    try:
        return _standing(session.device.name, lines[:-1])
    except ValueError as error:
        raise UnexpectedOutput(session.device.name, str(error), "neither a rule nor a set") from error


def _standing(device: str, lines: Iterable[str]) -> _Standing:
    family, table = 0, ""
    jumps: dict[tuple[int, str], list[str]] = {}
    there: dict[tuple[int, str], set[tuple[str, str]]] = {}
    sets: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("# family "):
            family = int(line[-1])
        elif line in ("*raw", "*filter"):
            table = line[1:]
            jumps[family, table], there[family, table] = [], set()
        elif line == "COMMIT" and table:
            table = ""
        elif table and (rule := re.fullmatch(r"-A (\S+) (.*)", line)):
            if rule[1] == HOOKS[table]:
                jumps[family, table].append(rule[2])
            elif rule[1] == CHAIN:
                there[family, table] |= _of_rule(rule[2])
        elif found := re.fullmatch(r"create (sg_\w+) hash:(?:ip|net) family inet6? .*", line):
            sets.update({_named(found[1])[0]: set()})
        elif found := _MEMBER.fullmatch(line):
            _slot(device, found[1], found[2])
            sets.setdefault(found[1], set()).add(found[2])
        elif line and not _OTHER.fullmatch(line):
            raise UnexpectedOutput(device, line)
    chains = {key: _Chain(tuple(jumps[key]), frozenset(there[key])) for key in jumps}
    if table or family not in PROGRAMS or len(chains) != len(HOOKS) * (1 + (family == 6)):
        raise UnexpectedOutput(device, table, "tables of iptables that are not all there")
    return _Standing(chains, {name: frozenset(members) for name, members in sets.items()})


def _of_rule(rule: str) -> set[tuple[str, str]]:
    """What a rule of our chain looks at. One that is not like ours looks at itself, so that the chain is rewritten."""
    found = _OUR_RULE.fullmatch(rule)
    if not found:
        return {("?", rule)}
    return {("", str(Mac.parse(found["mac"])))} if found["mac"] else {(found["set"], found["side"])}
