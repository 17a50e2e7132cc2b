"""Lines of ours on devices that the site has no more: no pass can lift them, so somebody must hear of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from switchguard.cli import show
from switchguard.cli.wiring import Wiring
from switchguard.core.changes import HeldSlot
from switchguard.core.explain import held_sentence
from switchguard.errors import LedgerError


def gone(wiring: Wiring) -> Mapping[str, Sequence[HeldSlot]]:
    """What we hold on devices that hosts.yaml does not have, or not as such that can be written to. Nothing without a
    ledger: looking needs none."""
    if "://" not in wiring.site.ledger and not Path(wiring.site.ledger).exists():
        return {}
    found: dict[str, list[HeldSlot]] = {}
    for it in wiring.ledger.held():
        if it.slot.device not in wiring.enforcers:
            found.setdefault(it.slot.device, []).append(it)
    return found


def gone_or_unknown(wiring: Wiring) -> Mapping[str, Sequence[HeldSlot]]:
    """For a look at the site: somebody else may look than who may read the ledger."""
    try:
        return gone(wiring)
    except LedgerError as error:
        show.complain(f"note: whether lines of ours are left on devices that are gone is not known: {error}")
        return {}


def gone_sentence(device: str, held: Sequence[HeldSlot]) -> str:
    """What is left where, and the two ways out."""
    return (
        f"{device} is no longer in hosts.yaml as a device that can be written to, and has lines of ours; put it back"
        f" under that name, or take them off by hand and say `switchguard release-all --forget {device}`:"
        f" {'; '.join(map(held_sentence, held))}"
    )
