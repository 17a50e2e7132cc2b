"""What the wiring makes of a site."""

from pathlib import Path

from switchguard.cli.wiring import Wiring
from switchguard.edge.settings import load_site

CONFERENCE = Path(__file__).parents[2] / "examples/conference"


def test_only_gateways_are_asked_to_clear_sessions() -> None:
    """Its switches run IOS, which could translate as well."""
    enforcers = Wiring(load_site(CONFERENCE)).enforcers
    assert {name: it.clears_sessions for name, it in enforcers.items()} == {
        name: it.device.role == "gateway" for name, it in enforcers.items()
    }
    assert any(it.clears_sessions for it in enforcers.values())
