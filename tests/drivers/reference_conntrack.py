"""The same table read slowly and plainly, with split, dictionaries and sets: what the fast reader must equal."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from statistics import median

from switchguard.core.model import Address, NatUsage, Network

_PRIVATE = [
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
]
_MASK = 2**64 - 1


@dataclass(frozen=True)
class Session:
    client: Address
    remote: Address
    port: int | None
    protocol: str
    translated: bool
    unanswered: bool
    idle: int | None
    out: int | None
    into: int | None
    age: int | None


def usages(
    text: str, timeouts: Mapping[str, int], inside: Iterable[Network] = (), own: Iterable[Address] = ()
) -> tuple[dict[Address, NatUsage], int]:
    """The usage of each client, and how many rows are nobody's. Every line must be a row or blank."""
    networks = tuple(inside)
    of: dict[Address, list[Session]] = defaultdict(list)
    foreign = 0
    for line in filter(str.strip, text.splitlines()):
        session = _session(line, timeouts, networks)
        if session is None:
            foreign += 1
        else:
            of[session.client].append(session)
    translating = {s.client.version for some in of.values() for s in some if s.translated}
    kept = {}
    for client, sessions in of.items():
        never = client.version in translating and not any(s.translated for s in sessions)
        if client in set(own) or (never and not networks and not _is_in(client, _PRIVATE)):
            foreign += len(sessions)
        else:
            kept[client] = _summary(client, sessions)
    return kept, foreign


def _session(line: str, timeouts: Mapping[str, int], inside: tuple[Network, ...]) -> Session | None:
    words = line.replace("timeout=", "x-timeout=").split()
    if words[0] in ("ipv4", "ipv6"):
        words = words[2:]
    protocol = words[0]
    pairs = [word.partition("=")[::2] for word in words if "=" in word and not word.startswith("[start")]
    head = [word for word in words[1:] if "=" not in word and not word.startswith("[")]
    numbers = [int(word) for word in head if word.isdigit()]
    state = next((word for word in head if word[0].isalpha() and word.isupper()), None)
    if "[start" in line:  # the words of a date are no state
        state = None if protocol not in ("tcp", "sctp", "dccp") else state
        numbers = numbers[:2]
    left = numbers[1] if len(numbers) > 1 else None
    second = [index for index, (key, _) in enumerate(pairs) if key == "src"][1]
    orig, reply = dict(pairs[:second]), dict(pairs[second:])
    source, destination = ip_address(orig["src"]), ip_address(orig["dst"])
    back_from, back_to = ip_address(reply["src"]), ip_address(reply["dst"])
    client_answers = _client_answers(source, back_from, destination, back_to, inside)
    if client_answers is None:
        return None
    there, back = (orig.get("bytes"), reply.get("bytes"))
    return Session(
        client=back_from if client_answers else source,
        remote=source if client_answers else destination,
        port=_number(orig.get("sport" if client_answers else "dport")),
        protocol=protocol,
        translated=back_to != source or back_from != destination,
        unanswered="[UNREPLIED]" in words,
        idle=_idle(protocol, state, left, words, timeouts),
        out=_number(back if client_answers else there),
        into=_number(there if client_answers else back),
        age=_number(reply.get("delta-time")),
    )


def _client_answers(
    source: Address, back_from: Address, destination: Address, back_to: Address, inside: tuple[Network, ...]
) -> bool | None:
    if inside:
        return False if _is_in(source, inside) else True if _is_in(back_from, inside) else None
    if _is_in(source, _PRIVATE):
        return False
    source_translated, redirected = back_to != source, back_from != destination
    if source_translated and not redirected:
        return False
    if redirected and not source_translated:
        return True
    return _is_in(back_from, _PRIVATE)


def _idle(
    protocol: str, state: str | None, left: int | None, words: list[str], timeouts: Mapping[str, int]
) -> int | None:
    if "[OFFLOAD]" in words or "[HW_OFFLOAD]" in words:
        return 0
    if left is None:
        return None
    match protocol:
        case "tcp" if state == "ESTABLISHED":
            names = ["tcp_timeout_unacknowledged", "tcp_timeout_max_retrans", "tcp_timeout_established"]
        case "tcp" | "sctp" | "dccp":
            names = [f"{protocol}_timeout_{(state or '?').lower()}"]
        case "udp" | "gre" if "[ASSURED]" in words:
            names = [f"{protocol}_timeout_stream"]
        case "udp" | "gre":
            names = [f"{protocol}_timeout", f"{protocol}_timeout_stream"]
        case "icmp" | "icmpv6":
            names = [f"{protocol}_timeout"]
        case _:
            names = ["generic_timeout"]
    possible = [timeouts[name] for name in names if name in timeouts]
    if not possible:
        return None
    return min((each for each in possible if each >= left), default=left) - left


def _summary(client: Address, sessions: list[Session]) -> NatUsage:
    count = len(sessions)
    ports = Counter(s.port for s in sessions if s.port is not None)
    idle = [s.idle for s in sessions if s.idle is not None]
    ages = [s.age for s in sessions if s.age is not None]
    sent, received = [s.out for s in sessions if s.out is not None], [s.into for s in sessions if s.into is not None]
    remotes = {s.remote for s in sessions}
    top = min((port for port in ports if ports[port] == max(ports.values())), default=None)
    return NatUsage(
        device="gw1",
        address=client,
        sessions=count,
        remotes=len(remotes),
        remote_ports=len(ports),
        tcp_share=sum(s.protocol == "tcp" for s in sessions) / count,
        udp_share=sum(s.protocol == "udp" for s in sessions) / count,
        unanswered_share=sum(s.unanswered for s in sessions) / count,
        high_port_share=sum((s.port or 0) > 1024 for s in sessions) / count,
        active_share=sum(each < 60 for each in idle) / len(idle) if idle else None,
        median_idle_s=median(idle) if idle else None,
        bytes_out=sum(sent) if sent else None,
        bytes_in=sum(received) if received else None,
        oldest_s=max(ages, default=None),
        newest_s=min(ages, default=None),
        sketch=tuple(sorted(map(_hash, remotes))[:64]),
        top_port=top,
        top_port_share=None if top is None else ports[top] / count,
    )


def _hash(address: Address) -> int:
    number = int(address)
    if isinstance(address, IPv6Address):
        number = _mix(number >> 64) + (number & _MASK) & _MASK
    return _mix(number)


def _mix(number: int) -> int:
    z = number + 0x9E3779B97F4A7C15 & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return z ^ z >> 31


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
