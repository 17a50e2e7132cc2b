"""One conntrack line, whatever its protocol and decoration: the declared pattern, and what a timeout says.

    ipv4     2 tcp      6 431999 ESTABLISHED src=10.20.0.15 dst=192.0.2.80 sport=51000 dport=443 packets=9 bytes=900
    src=192.0.2.80 dst=203.0.113.5 sport=443 dport=51000 packets=8 bytes=9000 [ASSURED] mark=0 delta-time=7 use=1

as `conntrack -L [-o extended,id,ktimestamp]` and /proc/net/nf_conntrack print it on one line (libnetfilter_conntrack
src/conntrack/snprintf_default.c, Linux net/netfilter/nf_conntrack_standalone.c). The first tuple is what the initiator
sent, the second what answers look like; they mirror each other unless an address is translated. Seen on real systems:
no layer-3 words without `-o extended`; no packets= and bytes= without nf_conntrack_acct; no timeout and no TCP state
on offloaded flows; ICMP with type, code and id instead of ports, GRE with srckey and dstkey (and its two timeouts
before them in /proc), other protocols with nothing; zone-orig= after the first tuple; secctx=, zone=, delta-time=,
[start=...].

The number after the protocol is the time *left* until the entry expires. Every packet sets it back to the timeout of
the entry's state, so that idle time = timeout - time left. Two timeouts are possible for established TCP (300 s while
data is unacknowledged) and for UDP and GRE that has been answered; the smallest one that is not below the time left is
meant. A flow that is offloaded to a flowtable has no time left; it leaves the table after 30 s of silence: idle 0.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from switchguard.core.model import Address

DEFAULT_TIMEOUTS: Mapping[str, int] = {
    "generic_timeout": 600,
    "gre_timeout": 30,
    "gre_timeout_stream": 180,
    "icmp_timeout": 30,
    "icmpv6_timeout": 30,
    "sctp_timeout_closed": 10,
    "sctp_timeout_cookie_echoed": 3,
    "sctp_timeout_cookie_wait": 3,
    "sctp_timeout_established": 210,
    "sctp_timeout_heartbeat_sent": 30,
    "sctp_timeout_shutdown_ack_sent": 3,
    "sctp_timeout_shutdown_recd": 3,
    "sctp_timeout_shutdown_sent": 3,
    "tcp_timeout_close": 10,
    "tcp_timeout_close_wait": 60,
    "tcp_timeout_established": 432000,
    "tcp_timeout_fin_wait": 120,
    "tcp_timeout_last_ack": 30,
    "tcp_timeout_max_retrans": 300,
    "tcp_timeout_syn_recv": 60,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_time_wait": 120,
    "tcp_timeout_unacknowledged": 300,
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
}
"""net.netfilter.nf_conntrack_* of Linux 6.x -> seconds."""

NOISE = re.compile(r"(?:conntrack(?: v\S+ \(conntrack-tools\))?: \d+ flow entries have been shown\.)?\s*")

_ADDRESS = r"[0-9a-fA-F.:]+"
_COUNTERS = r"(?: +packets=\d+ +bytes=(?P<{0}_bytes>\d+))?"
_TUPLE = (
    rf"src=(?P<{{0}}_src>{_ADDRESS}) +dst=(?P<{{0}}_dst>{_ADDRESS})"
    r"(?: +sport=(?P<{0}_sport>\d+) +dport=(?P<{0}_dport>\d+)| +type=\d+ +code=\d+ +id=\d+"
    r"| +srckey=0x[0-9a-f]+ +dstkey=0x[0-9a-f]+)?"
)
_PATTERN = re.compile(
    r"(?:ipv[46] +\d+ +)?(?P<protocol>[a-z][a-z0-9-]*) +(?:\d+ +)?(?:(?P<left>\d+) +)?(?:(?P<state>[A-Z][A-Z0-9_]*) +)?"
    r"(?:timeout=\d+, stream_timeout=\d+ )?"
    + _TUPLE.format("orig")
    + r"(?: +zone-orig=\d+)?"
    + _COUNTERS.format("orig")
    + r"(?P<unreplied> +\[UNREPLIED\])? +"
    + _TUPLE.format("reply")
    + r"(?: +zone-reply=\d+)?"
    + _COUNTERS.format("reply")
    + r"(?: +\[(?P<flag>ASSURED|OFFLOAD|HW_OFFLOAD)\])?"
    r"(?: +(?:mark|zone|use|id)=\d+| +secctx=\S+| +labels=\S+| +delta-time=(?P<age>\d+)| +\[start=[^]]*\])*\s*"
)


class Row(NamedTuple):
    """One entry. `left`, ports, byte counts and `age` are None where the line does not tell."""

    protocol: str
    state: str | None
    left: int | None
    source: Address
    destination: Address
    sport: int | None
    dport: int | None
    sent: int | None
    unreplied: bool
    reply_source: Address
    reply_destination: Address
    received: int | None
    assured: bool
    offloaded: bool
    age: int | None


def parse_row(line: str) -> Row | None:
    """None for a line that is no row."""
    found = _PATTERN.fullmatch(line)
    if not found:
        return None
    try:
        source, destination = ip_address(found["orig_src"]), ip_address(found["orig_dst"])
        reply_source, reply_destination = ip_address(found["reply_src"]), ip_address(found["reply_dst"])
    except ValueError:
        return None
    if len({address.version for address in (source, destination, reply_source, reply_destination)}) > 1:
        return None
    number = {name: int(found[name]) if found[name] else None for name in _NUMBERS}
    return Row(
        protocol=found["protocol"],
        state=found["state"],
        left=number["left"],
        source=source,
        destination=destination,
        sport=number["orig_sport"],
        dport=number["orig_dport"],
        sent=number["orig_bytes"],
        unreplied=found["unreplied"] is not None,
        reply_source=reply_source,
        reply_destination=reply_destination,
        received=number["reply_bytes"],
        assured=found["flag"] == "ASSURED",
        offloaded=found["flag"] in ("OFFLOAD", "HW_OFFLOAD"),
        age=number["age"],
    )


_NUMBERS = ("left", "orig_sport", "orig_dport", "orig_bytes", "reply_bytes", "age")


def timeouts_of(protocol: str, state: str | None, assured: bool, seconds: Mapping[str, int]) -> tuple[int, ...]:
    """The timeouts that an entry's clock may have been set to, ascending; none if the state is not known."""
    match protocol:
        case "tcp" if state == "ESTABLISHED":
            waiting = ("tcp_timeout_unacknowledged", "tcp_timeout_max_retrans", "tcp_timeout_established")
            return tuple(sorted({seconds[name] for name in waiting}))
        case "tcp" | "sctp" | "dccp":
            known = seconds.get(f"{protocol}_timeout_{(state or '').lower().rstrip('2')}")
            return () if known is None else (known,)
        case "udp" | "gre":
            short, long = seconds[f"{protocol}_timeout"], seconds[f"{protocol}_timeout_stream"]
            return (long,) if assured else (short, long)
        case "icmp" | "icmpv6":
            return (seconds[f"{protocol}_timeout"],)
    return (seconds["generic_timeout"],)


def idle_of(left: int, timeouts: tuple[int, ...]) -> int | None:
    """Seconds since the last packet. More time left than any timeout gives means another policy: 0, as if just now."""
    if not timeouts:
        return None
    return next((timeout - left for timeout in timeouts if timeout >= left), 0)
