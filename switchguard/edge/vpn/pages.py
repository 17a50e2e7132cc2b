"""What is known of sessions <-> text for the next process: it goes on from there instead of beginning anew."""

import json
from collections.abc import Mapping
from typing import Any

from switchguard.edge.snapshots import Malformed, from_json, to_json
from switchguard.edge.vpn.sources import Page, Pages

PAGES = "users"
"""The name of the note in the ledger."""


def pages_text(pages: Pages) -> str:
    return json.dumps(to_json(pages), separators=(",", ":"))


def pages_from(text: str | None) -> Mapping[str, Page]:
    """Nothing, where there is nothing yet or it was written by another release."""
    if text is None:
        return {}
    said: Any = json.loads(text)
    try:
        return {str(name): from_json(Page, page) for name, page in said.items()}
    except Malformed:
        return {}
