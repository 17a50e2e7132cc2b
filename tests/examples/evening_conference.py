"""The conference: 1,500 delegates, a table of 65,536 translations, and a handful who do not know what they run."""

from dataclasses import replace
from datetime import UTC, datetime

from evening_builders import (
    MBPS,
    Guest,
    Script,
    backup,
    browsing,
    download,
    game,
    guest,
    household,
    mail,
    play_out,
    power_user,
    resolver,
    swarm,
    video_call,
)

from switchguard.edge.evening import Evening

END = 151
BEGINS = datetime(2026, 11, 20, 17, tzinfo=UTC)
"""18:00 in Berlin."""


def innocents() -> tuple[Guest, ...]:
    """Everybody who looks bad at first sight and is not."""
    return (
        guest(1, "power user", power_user(0, END)),
        guest(2, "video call", browsing(0, 20), video_call(20, 120), browsing(120, END)),
        guest(3, "game", game(5, END)),
        guest(4, "household behind a router", household(0, END)),
        guest(5, "Linux ISO", browsing(0, 10), download(10, 17, 94), browsing(17, END)),
        guest(6, "backup", browsing(0, 90), backup(90, 145, 9)),
        guest(7, "resolver", resolver(0, END)),
        guest(8, "mail server", mail(0, END)),
        *(guest(number, f"delegate {number}", browsing(0, END)) for number in range(9, 24)),
    )


def offenders() -> tuple[Guest, ...]:
    """25 is blocked, changes its MAC at minute 62 and is found again. 26 has a small swarm and is told; only while the
    table is nearly full it loses the high ports as well. 27 brings an unknown device; 28 and 29 have two each."""
    return (
        guest(25, "torrenter", browsing(0, 20), swarm(20, 60), gone=60),
        guest(30, "torrenter with another MAC", swarm(62, END, 800), here=62),
        guest(26, "small swarm", browsing(0, 40), swarm(40, 120, 150, 2, 0.5), browsing(120, END)),
        guest(27, "late, new device", browsing(70, END), here=70),
        guest(28, "one person's laptop", download(20, 120, 14)),
        guest(29, "the same person's telephone", download(40, 120, 13)),
    )


def elsewhere() -> tuple[Guest, ...]:
    """31's MAC is copied by somebody at another port, who runs a swarm with it. 32 and 33 are in the hall for guests,
    34 and 35 in the network for registered devices, and 35 is registered to nobody."""
    copied = guest(31, "whose MAC was copied", browsing(0, 100), swarm(100, END))
    return (
        replace(copied, also_at=("sw1", "Gi0/22")),
        guest(32, "guest", browsing(0, END), net="10.20"),
        guest(33, "guest", browsing(0, END), net="10.20"),
        guest(34, "registered", browsing(0, END), net="10.30"),
        guest(35, "not registered", browsing(0, END), net="10.30"),
    )


def evening() -> Evening:
    return play_out(
        Script(
            "a conference, Friday evening: swarms, a nearly full table, and many who only look like it",
            BEGINS,
            minutes=150,
            every=1,
            guests=(*innocents(), *offenders(), *elsewhere()),
            crowd_bps={0: (20 * MBPS, 4 * MBPS), 140: (12 * MBPS, 3 * MBPS)},
            crowd_sessions={0: 30_000, 80: 42_000, 95: 31_000},
            table_limit=65_536,
        )
    )
