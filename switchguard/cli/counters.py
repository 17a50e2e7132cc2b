"""`switchguard counters`: what every client moved, counted by the gateway itself (`accounting: nft`)."""

from collections.abc import Callable
from typing import Annotated

import typer

from switchguard import plugins
from switchguard.cli import objects, show
from switchguard.cli.act import agreed
from switchguard.cli.options import Json, Manner, spread
from switchguard.cli.wiring import Wiring
from switchguard.core.model import ClientOctets, Device, Role
from switchguard.core.safeguards import enforces
from switchguard.errors import BadTarget, UnknownPlugin
from switchguard.ports import CountsClients, Session

CHANGES, REFUSED = 2, 3

app = typer.Typer(
    no_args_is_help=True,
    help="What every client moved, counted by the gateway itself: packets and octets, not sessions or remote hosts.",
)

OnGateway = Annotated[str | None, typer.Option("--on", metavar="DEVICE", help="Only this gateway; else all that can.")]


# --- for the service -------------------------------------------------------------------------------------------------


def counting_driver(device: Device) -> CountsClients | None:
    driver = plugins.driver(device.platform)
    return driver if device.role is Role.GATEWAY and isinstance(driver, CountsClients) else None


def may_count(wiring: Wiring, name: str) -> bool:
    """Whether the service may write there by itself: in observe mode nothing is written."""
    device = wiring.devices.get(name)
    return device is not None and counting_driver(device) is not None and enforces(wiring.site.policy, device)


def install(wiring: Wiring, name: str) -> None:
    _write(wiring, wiring.devices[name], lambda driver, session: driver.install_counters(session))


def _write(wiring: Wiring, device: Device, work: Callable[[CountsClients, Session], None]) -> None:
    driver = counting_driver(device)
    if driver is None:
        raise BadTarget(f"{device.name} cannot count its clients")
    with wiring.turns.take(device.name), wiring.opens(device) as session:
        work(driver, session)


# --- by hand ---------------------------------------------------------------------------------------------------------


@app.command("install")
@spread
def install_command(ctx: typer.Context, manner: Manner, on: OnGateway = None) -> None:
    """Let gateways count. Shows the script first; may be repeated, nothing that was counted is lost.

    The service does it by itself where `accounting: nft` is set and the gateway is in mode `enforce`.

    Example: switchguard counters install --on gw1 --dry-run
    """
    wiring = Wiring.of(ctx.obj)
    chosen = _gateways(wiring, on)
    scripts = {device.name: list(driver.counters_script(device)) for device, driver in chosen}
    _settle(wiring, scripts, "install", manner, lambda driver, session: driver.install_counters(session))


@app.command("remove")
@spread
def remove_command(ctx: typer.Context, manner: Manner, on: OnGateway = None) -> None:
    """Take the counters away, with what they have counted. A running service with `accounting: nft` puts them back.

    Example: switchguard counters remove --yes
    """
    wiring = Wiring.of(ctx.obj)
    scripts = {device.name: ["delete table inet switchguard_counters"] for device, _ in _gateways(wiring, on)}
    _settle(wiring, scripts, "remove", manner, lambda driver, session: driver.remove_counters(session))


@app.command("show")
def show_command(ctx: typer.Context, on: OnGateway = None, as_json: Json = False) -> None:
    """What they have counted since they began, most octets first.

    Example: switchguard counters show
    """
    wiring = Wiring.of(ctx.obj)
    rows: list[ClientOctets] = []
    for device, driver in _gateways(wiring, on):
        with wiring.opens(device) as session:
            rows += driver.client_octets(session)
    rows.sort(key=lambda row: -(row.octets_in + row.octets_out))
    if as_json:
        typer.echo(objects.dump({"counters": [counter_object(row) for row in rows]}))
        return
    numbers = ("received", "sent", "packets")
    table = show.table("gateway", "address", *numbers, right=numbers)
    for row in rows:
        packets = f"{row.packets_in + row.packets_out:,}"
        table.add_row(row.device, str(row.address), show.octets(row.octets_in), show.octets(row.octets_out), packets)
    show.console().print(table)


def counter_object(row: ClientOctets) -> objects.Json:
    return {
        "device": row.device,
        "address": str(row.address),
        "octets_in": row.octets_in,
        "octets_out": row.octets_out,
        "packets_in": row.packets_in,
        "packets_out": row.packets_out,
    }


def _gateways(wiring: Wiring, on: str | None) -> list[tuple[Device, CountsClients]]:
    able = {name: driver for name, device in wiring.devices.items() if (driver := counting_driver(device)) is not None}
    if on is not None and on not in able:
        raise UnknownPlugin("gateway that can count its clients", on, able)
    if not able:
        raise BadTarget("the site has no gateway that can count its clients: only Linux can")
    return [(wiring.devices[name], driver) for name, driver in able.items() if on in (None, name)]


def _settle(
    wiring: Wiring,
    scripts: dict[str, list[str]],
    what: str,
    manner: Manner,
    work: Callable[[CountsClients, Session], None],
) -> None:
    """Shows, asks, does; a person who asks for it may do so in observe mode too. Not while writes are paused."""
    if not manner.as_json:
        for name, lines in scripts.items():
            show.say(f"{name}: {what} (computed)")
            for line in lines:
                show.say(f"  {line}")
    if (paused := wiring.ledger.paused()) is not None:
        show.complain(f"refused: paused: {paused}")
        raise typer.Exit(REFUSED)
    if not (manner.dry_run or manner.yes or agreed(manner)):
        raise typer.Exit(REFUSED)
    for name in () if manner.dry_run else scripts:
        _write(wiring, wiring.devices[name], work)
    if manner.as_json:
        devices = [{"device": name, "script": lines} for name, lines in scripts.items()]
        typer.echo(objects.dump({"devices": devices, "done": not manner.dry_run}))
    elif not manner.dry_run:
        show.say(f"done: {', '.join(scripts)}")
    if manner.dry_run:
        raise typer.Exit(CHANGES)
