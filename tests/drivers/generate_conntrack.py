"""Big conntrack tables as `conntrack -L -o extended` prints them, the same for the same seed.

`python tests/drivers/generate_conntrack.py 1000000 > table.txt` writes about 215 MB: 2,000 clients behind one gateway,
100 of them in a BitTorrent-like swarm with 65 % of the entries; accounting on.
"""

import sys
from collections.abc import Iterator
from random import Random

CLIENTS, SWARMING, SWARM_SHARE = 2000, 100, 0.65
_RARE_STATES = ("SYN_SENT", "CLOSE", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "SYN_RECV")
_STATES = ("ESTABLISHED",) * 12 + ("TIME_WAIT",) * 4 + _RARE_STATES
_TIMEOUTS = {"ESTABLISHED": 432000, "TIME_WAIT": 120, "SYN_SENT": 120, "CLOSE": 10, "FIN_WAIT": 120, "CLOSE_WAIT": 60}


def conntrack_lines(count: int, seed: int = 1, accounting: bool = True) -> Iterator[str]:
    """`count` lines with a newline each: TCP, UDP and a few pings, all translated to 203.0.113.1."""
    random = Random(seed)
    popular = [f"198.51.100.{n}" for n in range(200)]
    for number in range(count):
        swarming = random.random() < SWARM_SHARE
        client = random.randrange(SWARMING) if swarming else random.randrange(SWARMING, CLIENTS)
        source = f"10.10.{client // 250}.{client % 250 + 2}"
        if swarming:
            bits = random.getrandbits(24)
            remote = f"{20 + (bits >> 16) % 150}.{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}"
        else:
            remote = random.choice(popular)
        yield _line(random, source, remote, swarming, number, accounting)


def _line(random: Random, source: str, remote: str, swarming: bool, number: int, accounting: bool) -> str:
    def counters() -> str:
        packets = random.randrange(1, 5000) if accounting else 0
        return f"packets={packets} bytes={packets * random.randrange(40, 1400)} " if accounting else ""

    if number % 97 == 0:
        words = f"type=8 code=0 id={number % 65536} "
        back = f"type=0 code=0 id={number % 65536} "
        return (
            f"ipv4     2 icmp     1 {random.randrange(30)} src={source} dst={remote} {words}{counters()}"
            f"src={remote} dst=203.0.113.1 {back}{counters()}mark=0 use=1\n"
        )
    near = random.randrange(1024, 65536)
    far = random.randrange(1025, 65536) if swarming else random.choice((443, 443, 443, 80, 53, 5222))
    there, back = f"sport={near} dport={far} ", f"sport={far} dport={near} "
    unreplied = random.random() < (0.3 if swarming else 0.02)
    if random.random() < (0.7 if swarming else 0.2):
        head = f"udp      17 {random.randrange(30 if unreplied else 120)}"
    else:
        state = "SYN_SENT" if unreplied else random.choice(_STATES)
        left = _TIMEOUTS.get(state, 30)
        head = f"tcp      6 {left - 1 - random.randrange(min(left, 600))} {state}"
    silence, seen = ("[UNREPLIED] ", "") if unreplied else ("", "[ASSURED] ")
    return (
        f"ipv4     2 {head} src={source} dst={remote} {there}{counters()}{silence}"
        f"src={remote} dst=203.0.113.1 {back}{counters()}{seen}mark=0 use=1\n"
    )


if __name__ == "__main__":
    sys.stdout.writelines(conntrack_lines(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
