"""The options that many commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text; keys as in docs/json.md.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change and stop; exit code 2 if anything.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="SNAP.JSON", help="A snapshot saved by `poll --save` instead of the devices."),
]
Recording = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="A snapshot saved by `poll --save`, a recorded evening, or `history`: today, as remembered.",
    ),
]
OtherPolicy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="This file instead of the site's switchguard.yaml."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the ledger and for `explain`.")]
For = Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h or 2d.")]
On = Annotated[str | None, typer.Option("--on", metavar="DEVICE", help="Enforce on this device instead of the zone's.")]
Vlan = Annotated[int | None, typer.Option("--vlan", help="With --on: the VLAN, when the client is not located.")]
Override = Annotated[
    bool, typer.Option("--override-exemption", help="Penalise although an exemption says no; goes into the ledger.")
]
