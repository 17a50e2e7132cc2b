"""A public netperf server: its log of connections over three days, as its firewall writes it."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from evening_builders import measuring

from switchguard.core.evidence import Connections
from switchguard.core.model import Address, Device, NatSize, Reading, Role, Snapshot
from switchguard.edge.evening import Evening

SERVER = Device("bench1", "linux", Role.GATEWAY)
BEGINS = datetime(2026, 11, 18, tzinfo=UTC)
HOUR, DAY = 60, 1440
END = 3 * DAY
EVERY = 15


def sources() -> dict[str, tuple[Connections, ...]]:
    return {
        # abuse: a test every four minutes around the clock; the same over IPv6
        "198.51.100.7": measuring(BEGINS, 0, END, 4),
        "2001:db8:7::1": measuring(BEGINS, 0, END, 3),
        # abuse: thousands between two runs, and then nothing any more
        "198.51.100.99": measuring(BEGINS, 30 * HOUR, 30 * HOUR + 25, 1, 120),
        # abuse: hopping inside a /24, each of eight far below the limit
        **{f"203.0.113.{10 * n}": measuring(BEGINS, 5 * n, END, 40 + n) for n in range(1, 9)},
        # our own monitoring, exempt, and a stranger whose address merely begins like it
        "192.0.2.4": measuring(BEGINS, 0, END, 2),
        "192.0.2.40": measuring(BEGINS, 1, END, 5),
        # people: a busy afternoon, two working days with the night off, a test now and then
        "198.51.100.20": measuring(BEGINS, 10 * HOUR, 16 * HOUR, 1, 2),
        "198.51.100.21": _working_days(),
        "198.51.100.22": measuring(BEGINS, 8 * HOUR, END, 180, 3),
        "2001:db8:8::22": measuring(BEGINS, 20 * HOUR, 21 * HOUR, 5),
    }


def _working_days() -> tuple[Connections, ...]:
    days = (measuring(BEGINS, day * DAY + 8 * HOUR, day * DAY + 18 * HOUR, 1) for day in range(3))
    return tuple(it for day in days for it in day)


def evening() -> Evening:
    told: dict[Address, tuple[Connections, ...]] = {ip_address(source): it for source, it in sources().items()}
    looks = tuple(_look(BEGINS + timedelta(minutes=minute)) for minute in range(0, END + 1, EVERY))
    return Evening("a public netperf server, three days of its firewall's log", looks, {"netperf": told})


def _look(at: datetime) -> Snapshot:
    """The server is no gateway: its table has nobody else's sessions."""
    readings = (Reading("bench1", "nat", at, 0, 0.0), Reading("bench1", "nat_size", at, 1, 0.0))
    return Snapshot(at, (SERVER,), nat_sizes=(NatSize("bench1", 300, 65_536),), readings=readings)
