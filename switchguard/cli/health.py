"""How the service is: what it notes about itself after each pass, and `status`, which reads that."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.calm import patience_s
from switchguard.core.clocks import LEAST_STEP
from switchguard.core.explain import duration
from switchguard.core.keys import params_of
from switchguard.core.model import NatSize, Reading
from switchguard.core.policy import Policy
from switchguard.core.rules import nat_pressure
from switchguard.cycle import Pass

if TYPE_CHECKING:  # APScheduler, which only the service needs
    from switchguard.schedule import Rhythm


# --- what the service notes ------------------------------------------------------------------------------------------


def pass_object(wiring: Wiring, result: Pass, following: Mapping[str, str], rhythm: "Rhythm") -> objects.Json:
    """For `status --json` as it is: its keys are a promise (docs/json.md)."""
    snapshot = result.snapshot
    return {
        "at": clock().isoformat(),
        "pid": os.getpid(),
        "mode": str(wiring.site.policy.mode),
        "clients": len(result.attribution.clients),
        "translations": {size.device: translations_object(size, wiring.site.policy) for size in snapshot.nat_sizes},
        "seconds": {f"{r.device} {r.table}": round(r.seconds, 3) for r in snapshot.readings},
        "costs": [cost_object(reading) for reading in snapshot.readings],
        "nat_period_s": round(rhythm.nat.total_seconds(), 3),
        "nat_stretched": round(rhythm.stretched, 3),
        "skipped": dict(rhythm.skipped),
        "pass_s": round(rhythm.pass_s, 3),
        "gaps": [objects.gap_object(gap) for gap in snapshot.gaps],
        "calm": result.calm,
        "streams": dict(following),
        "blind_spots": blind_now(wiring, result),
    }


def translations_object(size: NatSize, policy: Policy) -> objects.Json:
    """With the ceiling that the first rule about it means."""
    rule = next((it for it in policy.rules if it.kind == nat_pressure.KIND), None)
    params = nat_pressure.Params() if rule is None else params_of(rule, nat_pressure.Params)
    most = nat_pressure.ceiling(size.limit, policy.public_addresses.get(size.device), params)
    return {
        "entries": size.entries,
        "limit": size.limit,
        "ceiling": most.entries if most else None,
        "ceiling_is": most.of if most else None,
    }


def cost_object(reading: Reading) -> objects.Json:
    """What the last reading of a table cost its device, and how much came over the wire."""
    return {
        "device": reading.device,
        "table": reading.table,
        "rows": reading.rows,
        "seconds": round(reading.seconds, 3),
        "octets": reading.octets,
    }


def blind_now(wiring: Wiring, result: Pass) -> list[objects.Json]:
    """Of a pass that asked no rule (for a hint, for a stream, in doubt about the tables): as the last one found."""
    if result.blind is not None:
        return objects.blind_spot_objects(result.blind)
    last = wiring.ledger.status() or {}
    return list(last.get("blind_spots", ()))


def ledger_octets(where: str) -> float:
    """The file and what is still to be moved into it; not a number where the ledger is no file."""
    if "://" in where:
        return float("nan")
    return float(sum(file.stat().st_size for file in (Path(where), Path(f"{where}-wal")) if file.exists()))


# --- what it is asked ------------------------------------------------------------------------------------------------


def status(ctx: typer.Context, as_json: Json = False) -> None:
    """How the service is: last pass, what reading the tables costs, gaps, penalties, and whether writes are paused.

    Example: switchguard status --json
    """
    wiring = Wiring.of(ctx.obj)
    last = wiring.ledger.status()
    paused = wiring.ledger.paused()
    records = wiring.ledger.penalties()
    left = [record for record in records if record.released_at is not None]
    notices = wiring.outbox.standing()
    alive = last is not None and process_lives(int(last["pid"]))
    if as_json:
        typer.echo(
            objects.dump(
                {
                    "running": alive,
                    "paused": paused,
                    "penalties": len(records),
                    "releasing": len(left),
                    "mode": wiring.site.policy.mode,
                    "last_pass": last,
                    "notices": asdict(notices),
                }
            )
        )
        return
    show.say(
        f"service: {liveliness(last, clock()) if last and alive else 'not running'}, mode {wiring.site.policy.mode}"
    )
    show.say(f"writes: {'paused - ' + paused if paused else 'allowed'}")
    show.say(f"penalties standing: {len(records) - len(left)}")
    if left:
        where = ", ".join(sorted({held.slot.device for record in left for held in record.slots}))
        show.complain(f"ended, but still to be lifted: {len(left)}, on {where}")
    if notices.waiting or notices.failed:
        show.say(notices.sentence())
    if last is None:
        show.say("no pass has been made yet")
        return
    show_pass(last)


def liveliness(last: Mapping[str, Any], now: datetime) -> str:
    """Of a process that lives: it is only running if it makes passes."""
    age = now - datetime.fromisoformat(last["at"])
    if age < -LEAST_STEP:
        return f"not making passes: the last one is {duration(-age)} ahead of the clock, which was set back"
    if age > timedelta(seconds=patience_s(timedelta(seconds=last.get("nat_period_s", 0.0)))):
        return f"not making passes: its process lives, but the last one is {duration(age)} ago"
    return "running"


def show_pass(last: Mapping[str, Any]) -> None:
    age = (clock() - datetime.fromisoformat(last["at"])).total_seconds()
    show.say(f"last pass: {age:.0f} s ago, {last['clients']} clients")
    for name, size in last["translations"].items():
        show.say(f"  {name}: {_filled(size)}")
    for line in cost_lines(last):
        show.say(f"  {line}")
    for name, trouble in last.get("streams", {}).items():
        show.say(f"  {name}: {'only polled: ' + trouble if trouble else 'sessions are followed as they begin'}")
    show.show_blind_spots((it["rule"], it["why"]) for it in last.get("blind_spots", ()))
    for gap in last["gaps"]:
        show.complain(f"  gap: {gap['device']} {gap['table']}: {gap['why']}")


def _filled(size: Mapping[str, Any]) -> str:
    """A service of an older version noted only the limit."""
    most, what = size.get("ceiling") or size["limit"], size.get("ceiling_is")
    return f"{size['entries']:,}{f' of {most:,}' if most else ''} translations{f' ({what})' if what else ''}"


def cost_lines(last: Mapping[str, Any]) -> Iterator[str]:
    """Of the translation tables: the other tables' are in the JSON and in the metrics. A service of an older version
    noted none."""
    period_s = last.get("nat_period_s", 0.0)
    for cost in last.get("costs", ()):
        if cost["table"] == "nat" and period_s:
            moved = "" if cost["octets"] is None else f" and {show.octets(cost['octets'])}"
            share = cost["seconds"] / period_s
            yield f"{cost['device']}: reading them takes {cost['seconds']:.2f} s{moved}, {share:.1%} of the time"
    if last.get("nat_stretched", 1.0) > 1.0:
        often = (
            f"every {duration(timedelta(seconds=period_s))}, {last['nat_stretched']:.1f} times as rarely as configured"
        )
        yield f"they are read {often}: reading them takes long (poll.nat_ceiling)"


def process_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
