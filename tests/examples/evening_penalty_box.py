"""The penalty box: a residence hall over midnight, when the box is emptied, with a VPN beside it."""

from datetime import UTC, datetime

from evening_builders import (
    MBPS,
    Doing,
    Guest,
    Script,
    address,
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

END = 361
BEGINS = datetime(2026, 11, 20, 19, tzinfo=UTC)
"""20:00 in Berlin; the box is emptied at minute 240."""


def innocents() -> tuple[Guest, ...]:
    """5 has the whole link for five minutes at half past midnight: nobody else wants it then. 6 is a server."""
    return (
        guest(1, "power user", power_user(0, 240)),
        guest(2, "video call", video_call(0, 200)),
        guest(3, "game", game(0, 240)),
        guest(4, "household behind a router", household(0, 250)),
        guest(5, "Linux ISO", browsing(0, 270), download(270, 278, 96), browsing(278, END)),
        guest(6, "server", mail(0, 240, 300, 3), mail(240, END, 200, 0.4)),
        guest(7, "resolver", resolver(0, END)),
        guest(8, "backup at night", browsing(0, 290), backup(290, 340, 18.8)),
        *(guest(number, f"room {number}", browsing(0, 240, down=1.2)) for number in range(9, 23)),
    )


def offenders() -> tuple[Guest, ...]:
    """25 takes a quarter of the crowded link and stops after midnight; 26 sends most of what can be sent; 27 is one of
    the terminals in the lobby, which may move 10 MB a day. A VPN user's swarm at home runs out through the campus."""
    return (
        guest(25, "heavy download", browsing(0, 30), download(30, 220, 26), browsing(220, END)),
        guest(26, "heavy upload", browsing(0, 60), backup(60, 150, 6), browsing(150, END)),
        guest(27, "terminal in the lobby", browsing(0, 120, down=0.1), net="10.40"),
        guest(28, "another terminal", Doing(0, 120, 4, 2, 2_000, 1_000), net="10.40"),
        Guest("VPN user", None, address("10.99.0.7"), None, (swarm(40, 260, down=0.5, up=0.5),)),
        Guest("VPN user at work", None, address("10.99.0.8"), None, (browsing(0, 250),)),
    )


def evening() -> Evening:
    return play_out(
        Script(
            "a residence hall, Friday evening until two: the link is full until eleven, the box is emptied at midnight",
            BEGINS,
            minutes=360,
            every=2,
            guests=(*innocents(), *offenders()),
            crowd_bps={0: (36 * MBPS, 5.5 * MBPS), 180: (10 * MBPS, 2 * MBPS), 240: (0.5 * MBPS, 0.1 * MBPS)},
        )
    )
