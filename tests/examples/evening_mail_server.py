"""A mail server and its customers, two days and a half: a swing at an unusual hour, a broken client, a full quota."""

from dataclasses import replace
from datetime import UTC, datetime

from evening_builders import (
    MBPS,
    Doing,
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
    video_call,
    weeks_of,
)

from switchguard.edge.evening import Evening

HOUR, DAY = 60, 1440
END = 60 * HOUR + 1
BEGINS = datetime(2026, 11, 19, 11, tzinfo=UTC)
"""Thursday noon in Berlin; midnight is at minute 720."""
CROWD = {
    0: (1 * MBPS, 2 * MBPS),
    7: (3 * MBPS, 8 * MBPS),
    9: (8 * MBPS, 26 * MBPS),
    17: (5 * MBPS, 14 * MBPS),
    22: (2 * MBPS, 4 * MBPS),
}
"""What those move who are not told one by one, by the hour in UTC."""
USUAL = {hour: (came + 7.75 * MBPS, went + 4.1 * MBPS) for hour, (came, went) in CROWD.items()}
"""With the servers and the household, who are the same at any time."""


def broken(start: int, end: int) -> Doing:
    """A mail program that asks for the same message over and over: a new session every few seconds, to one host."""
    return Doing(start, end, 400, 1, 0.4 * MBPS, 0.2 * MBPS, 1.0, 0.0, 0.0, 0.1, 993, 1.0, 1, lasting=False)


def evening() -> Evening:
    """7's account was stolen: on Friday at four in the morning it sends as at no other hour of any week. 8 has a broken
    client; 9 moves 3 GB on a Thursday, and is free again two days later."""
    played = play_out(
        Script(
            "a mail server and its customers, Thursday noon to Saturday midnight: an incident in the small hours",
            BEGINS,
            minutes=60 * HOUR,
            every=15,
            guests=(
                guest(1, "mail server", mail(0, END, 600, 3)),
                guest(2, "resolver", resolver(0, END)),
                guest(3, "power user", power_user(20 * HOUR, 30 * HOUR)),
                guest(4, "household behind a router", household(0, END)),
                guest(5, "video call", video_call(21 * HOUR, 23 * HOUR)),
                guest(6, "backup at night", backup(13 * HOUR, 15 * HOUR, 2), backup(37 * HOUR, 39 * HOUR, 2)),
                guest(7, "stolen account", browsing(0, 16 * HOUR), mail(16 * HOUR, 17 * HOUR, 2500, 45)),
                guest(8, "broken client", broken(24 * HOUR, 24 * HOUR + 90), net="10.20"),
                guest(9, "office that moves house", download(2 * HOUR, 3 * HOUR, 7), net="10.30"),
                guest(10, "office", browsing(0, 10 * HOUR, down=0.1), net="10.30"),
                guest(11, "Linux ISO", download(22 * HOUR + 15, 22 * HOUR + 30, 44)),
                guest(12, "game", game(30 * HOUR, 33 * HOUR)),
            ),
            crowd_bps={(hour - 11) * HOUR + day * DAY: moved for day in range(4) for hour, moved in CROWD.items()},
        )
    )
    return replace(played, interfaces=(weeks_of("gw1", "wan0", BEGINS, 5, USUAL),))
