"""Commands that only look: check, poll, top, locate, explain, plan, penalties, drivers."""

import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from switchguard import plugins
from switchguard.cli import objects, show
from switchguard.cli.leftovers import gone_or_unknown, gone_sentence
from switchguard.cli.options import From, Json, OtherPolicy, Recording
from switchguard.cli.rules import hits_object, played_by, remembered_by, say_played, show_hits
from switchguard.cli.targets import find, parse_target, why_unknown
from switchguard.cli.wiring import Wiring, clock, site_directory
from switchguard.core.attribute import attribute
from switchguard.core.changes import Change, Diff
from switchguard.core.copies import contested_of
from switchguard.core.model import Attribution, Client, Gap, Reading, Snapshot, Table
from switchguard.core.person import together
from switchguard.core.rules.naughty_factor import Factor, factor
from switchguard.core.traces import Link
from switchguard.cycle import PLACES, USAGE, look
from switchguard.edge.evening import load_evening
from switchguard.edge.napalm_platforms import needs_no_ssh, trusts_anybody
from switchguard.edge.session_netmiko import fetch_host_key
from switchguard.edge.settings import exemptions_over, load_site, missing_credentials
from switchguard.edge.snapshots import load_snapshot, save_snapshot
from switchguard.errors import DeviceError
from switchguard.ports import Enforces
from switchguard.replay import Played

Ranking = Literal["factor", "sessions", "remotes", "bytes"]
HISTORY = Path("history")
"""`--from history`: today, as the ledger remembers it."""


def everything(wiring: Wiring) -> frozenset[Table]:
    """What a site reads; a gateway's own counters only where there are some."""
    unread: set[Table] = {"enforced"} if wiring.site.follow.counters else {"enforced", "octets"}
    return frozenset(get_args(Table)) - unread


def look_around(wiring: Wiring, tables: Collection[Table], file: Path | None = None) -> Snapshot:
    if file is not None:
        return load_snapshot(file)
    with show.progress(f"asking {len(wiring.devices)} devices"):
        return wiring.gather(tables)


def check(
    ctx: typer.Context,
    connect: Annotated[bool, typer.Option("--connect", help="Log in everywhere; say what can be read.")] = False,
    accept: Annotated[
        bool,
        typer.Option("--accept-host-keys", help="With --connect: show each unknown SSH host key and ask to trust it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read the site's files; with --connect, log in everywhere and say what can be read and written.

    Example: switchguard check --connect
    """
    wiring = Wiring.of(ctx.obj)
    site = wiring.site
    if accept:
        for device in site.devices:
            if not needs_no_ssh(device.platform, site.endpoints[device.name]):
                trust_host_key(wiring, device.name)
    snapshot = look_around(wiring, everything(wiring)) if connect else None
    gaps = (*snapshot.gaps, *unreadable(wiring)) if snapshot else ()
    missing, over = missing_credentials(site), exemptions_over(site, clock())
    left = gone_or_unknown(wiring)
    if as_json:
        found = {
            **site_object(wiring),
            "missing_credentials": [{"of": it.device, "why": it.why} for it in missing],
            "exemptions_over": over,
            "lines_left": [{"device": name, "slots": objects.held_objects(held)} for name, held in left.items()],
            "tables": objects.poll_object(snapshot, 0.0)["tables"] if snapshot else [],
            "gaps": [objects.gap_object(gap) for gap in gaps],
        }
        typer.echo(objects.dump(found))
    else:
        say_site(wiring)
        for note in over:
            show.say(f"note: {note}")
        if snapshot:
            show_readings(snapshot.readings)
        show.show_gaps(gaps)
        say_missing(missing)
        for name, held in left.items():
            show.complain(gone_sentence(name, held))
    if gaps or left or (connect and missing):
        raise typer.Exit(1)


def unreadable(wiring: Wiring) -> tuple[Gap, ...]:
    """Devices that do not tell what they enforce, so nothing can be put there: SNMP that works proves no login."""
    with show.progress("reading configurations"):
        return tuple(found for found in wiring.enforced().values() if isinstance(found, Gap))


def site_object(wiring: Wiring) -> objects.Json:
    site = wiring.site
    return {
        "site": str(site.path),
        "mode": site.policy.mode,
        "devices": [{"device": d.name, "platform": d.platform, "role": d.role, "mode": d.mode} for d in site.devices],
        "rules": [rule.name for rule in site.policy.rules],
        "trusts_anybody": trusting(wiring),
    }


def say_site(wiring: Wiring) -> None:
    site, policy = wiring.site, wiring.site.policy
    show.say(f"{site.path}: {len(site.devices)} devices, {len(policy.rules)} rules, mode {policy.mode}")
    rows = show.table("device", "platform", "role", "mode", "host", "can write")
    for device in site.devices:
        enforcer = wiring.enforcers.get(device.name)
        writes = ", ".join(enforcer.facts.penalties) if enforcer else "-"
        rows.add_row(device.name, device.platform, device.role, device.mode, site.endpoints[device.name].host, writes)
    show.console().print(rows)
    if careless := trusting(wiring):
        show.say(f"note: nothing proves that it is {', '.join(careless)}; `napalm: {{transport: https}}` does")


def say_missing(missing: Iterable[DeviceError]) -> None:
    """One line for each secret that is not there, however many want it."""
    wanting: dict[str, list[str]] = {}
    for it in missing:
        what, _, why = it.why.partition(": ")
        wanting.setdefault(why, []).append(f"{it.device} {what}")
    for why, whose in wanting.items():
        show.complain(f"missing: {why} ({', '.join(whose)})")


def trusting(wiring: Wiring) -> list[str]:
    """Devices that are believed without a look at who they are."""
    endpoints = wiring.site.endpoints
    return [it.name for it in wiring.site.devices if trusts_anybody(it.platform, endpoints[it.name])]


def trust_host_key(wiring: Wiring, device: str) -> None:
    """Show the fingerprint, ask, and add the key to the site's known_hosts; a changed key is never replaced here."""
    endpoint = wiring.site.endpoints[device]
    if endpoint.username is None or endpoint.host == "local" or endpoint.known_hosts is None:
        return
    found = fetch_host_key(endpoint)
    file = Path(endpoint.known_hosts)
    if file.exists() and found.line in file.read_text().splitlines():
        return
    show.say(f"{device} ({endpoint.host}) shows {found.type} {found.fingerprint}")
    if typer.confirm("Is this the key that its console shows? Trust it"):
        with file.open("a") as known:
            known.write(f"{found.line}\n")


def show_readings(readings: Iterable[Reading]) -> None:
    rows = show.table("device", "table", "rows", "seconds", right=("rows", "seconds"))
    for reading in readings:
        rows.add_row(reading.device, reading.table, f"{reading.rows:,}", f"{reading.seconds:.2f}")
    show.console().print(rows)


def poll(
    ctx: typer.Context,
    save: Annotated[Path | None, typer.Option(help="Write the snapshot here; a name in .gz is compressed.")] = None,
    as_json: Json = False,
) -> None:
    """Gather every table once: rows, seconds and gaps per device and table.

    Example: switchguard poll --save evening.json.gz
    """
    started = time.monotonic()
    wiring = Wiring.of(ctx.obj)
    snapshot = look_around(wiring, everything(wiring))
    if save:
        save_snapshot(save, snapshot)
    if as_json:
        typer.echo(objects.dump(objects.poll_object(snapshot, time.monotonic() - started)))
    else:
        show_readings(snapshot.readings)
        show.show_gaps(snapshot.gaps)
        if save:
            show.say(f"saved to {save}")
    if snapshot.gaps:
        raise typer.Exit(1)


def ranking(attribution: Attribution, by: Ranking) -> list[tuple[Client, Factor]]:
    """Clients that use something, worst first."""
    rated = [(client, factor(client.usage)) for client in attribution.clients if client.usage]

    def weight(item: tuple[Client, Factor]) -> tuple[float, int, str]:
        client, rating = item
        usage = client.usage
        if usage is None:
            return (0.0, 0, client.identity)
        amount = {
            "factor": rating.value,
            "sessions": usage.sessions,
            "remotes": usage.remotes,
            "bytes": (usage.bytes_in or 0) + (usage.bytes_out or 0),
        }[by]
        return (-amount, -usage.sessions, client.identity)

    return sorted(rated, key=weight)


def top(
    ctx: typer.Context,
    by: Annotated[str, typer.Option(help="factor, sessions, remotes or bytes")] = "factor",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many clients.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Again every few seconds until Ctrl-C.")] = False,
    file: From = None,
    as_json: Json = False,
) -> None:
    """Who uses the network how: MAC, address, owner, port, factor and reason, worst first.

    Example: switchguard top --by sessions --watch
    """
    if by not in get_args(Ranking):
        raise typer.BadParameter(f"{by!r}; there are: {', '.join(get_args(Ranking))}", param_hint="--by")
    wiring = Wiring.of(ctx.obj) if file is None else None
    while True:
        snapshot = look_around(wiring, USAGE | PLACES) if wiring else load_snapshot(file or Path())
        attribution = people_of(wiring, attribute(snapshot))
        links = known_links(wiring)
        ranked = ranking(attribution, by)[:limit]  # type: ignore[arg-type]  # checked above
        if as_json:
            typer.echo(objects.dump(objects.top_object(attribution, ranked, links)))
        else:
            if watch:
                show.console().clear()
            show.show_ranking(attribution, ranked, links)
        if not watch:
            return
        time.sleep(5)


def people_of(wiring: Wiring | None, attribution: Attribution) -> Attribution:
    """Each person as one client, where the site wants it so."""
    if wiring is None or not wiring.site.policy.identity.per_person:
        return attribution
    people = wiring.people(wiring.site.policy)
    return together(attribution, people) if people else attribution


def known_links(wiring: Wiring | None) -> tuple[Link, ...]:
    """Nothing without a ledger: looking needs none."""
    if wiring is None or ("://" not in wiring.site.ledger and not Path(wiring.site.ledger).exists()):
        return ()
    return wiring.ledger.links()


def locate(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(help="A MAC in any spelling, an address, or a user.")],
    file: From = None,
    as_json: Json = False,
) -> None:
    """Where a client is: gateway entry, VLAN, switch, port, age and confidence.

    Example: switchguard locate 10.10.0.107
    """
    wanted = parse_target(target)
    snapshot = load_snapshot(file) if file else look_around(Wiring.of(ctx.obj), PLACES)
    attribution = attribute(snapshot)
    client = find(attribution, wanted)
    why_not = None if client and client.location else why_not_located(attribution, client, target)
    if as_json:
        typer.echo(objects.dump(objects.locate_object(target, client, why_not)))
    else:
        if client:
            show.say(f"{client.identity}  {' '.join(map(str, client.addresses))}")
        show.show_location(client, why_not)
    if why_not:
        raise typer.Exit(1)


def why_not_located(attribution: Attribution, client: Client | None, target: str) -> str:
    return client.why_no_location if client else why_unknown(attribution, parse_target(target))


def plan(ctx: typer.Context, file: Recording = None, policy: OtherPolicy = None, as_json: Json = False) -> None:
    """The dry run of a whole pass: whom each rule hits, per device the diff, and what the safeguards refuse.

    With --policy: what would another policy do now? With `--from history`: whom would it have hit today, as far as the
    ledger remembers? With a recorded evening: what would it have done then? Nothing is written.

    Example: switchguard plan --policy stricter.yaml --from history
    """
    wiring = Wiring(load_site(site_directory(ctx.obj), policy))
    if (played := _played(wiring, file)) is not None and file is not None:
        say_played(wiring.site, file, policy, 3, as_json, played)
        raise typer.Exit(2 if played.penalised() else 0)
    doors = wiring.doors_from(file) if file else wiring.doors()
    with show.progress("gathering and judging"):
        seen = look(wiring.site.policy, doors, doors.gather(USAGE | PLACES))
        diffs = (rendered if file else previews)(wiring, seen.plan.changes + seen.plan.observed)
    if as_json:
        hits = hits_object(wiring.site.policy, seen.findings)
        blind = objects.blind_spot_objects(seen.blind or ())
        copies = objects.contested_objects(seen.attribution)
        besides = {"rules": hits, "blind_spots": blind, "contested": copies}
        typer.echo(objects.dump({**objects.plan_object(seen.plan, diffs), **besides}))
    else:
        show_hits(wiring.site.policy, seen.findings)
        show.show_plan(seen.plan, diffs)
        show.show_refusals(seen.decision.declined)
        show.show_contested(contested_of(seen.attribution))
        show.show_blind_spots(seen.blind or ())
        show.show_gaps(seen.snapshot.gaps)
    if seen.plan.changes or seen.plan.observed:
        raise typer.Exit(2)


def _played(wiring: Wiring, file: Path | None) -> Played | None:
    """None where there is one look only, or none."""
    if file == HISTORY and not file.exists():
        return remembered_by(wiring, clock())
    evening = load_evening(file) if file else None
    return played_by(wiring, evening, file) if file and evening and len(evening.looks) > 1 else None


def previews(wiring: Wiring, changes: Sequence[Change]) -> dict[str, Diff | DeviceError]:
    """The diff of every device that would change, asked for at once; a device that cannot answer says why."""
    with ThreadPoolExecutor(8) as pool:
        names = sorted({change.slot.device for change in changes})
        answers = pool.map(lambda name: _preview(wiring, name, changes), names)
        return dict(zip(names, answers, strict=True))


def _preview(wiring: Wiring, name: str, changes: Sequence[Change]) -> Diff | DeviceError:
    device = wiring.devices[name]
    driver = plugins.driver(device.platform)
    assert isinstance(driver, Enforces)  # noqa: S101  # only enforcers get changes
    try:
        with wiring.opens(device) as session:
            return driver.preview(session, [change for change in changes if change.slot.device == name])
    except DeviceError as error:
        return error


def rendered(wiring: Wiring, changes: Sequence[Change]) -> dict[str, Diff | DeviceError]:
    """The lines without asking anybody, for a plan from a file."""
    names = sorted({change.slot.device for change in changes})
    diffs: dict[str, Diff | DeviceError] = {}
    for name in names:
        driver = plugins.driver(wiring.devices[name].platform)
        assert isinstance(driver, Enforces)  # noqa: S101  # only enforcers get changes
        lines = driver.render([change for change in changes if change.slot.device == name])
        diffs[name] = Diff("".join(f"+ {line}\n" for line in lines), "computed")
    return diffs
