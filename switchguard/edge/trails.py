"""Where MACs that move about have been, kept in the ledger's store, so that a command knows what the service saw."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from switchguard.core.model import Sight
from switchguard.core.trails import MEMORY
from switchguard.edge.history import History, Note
from switchguard.edge.snapshots import Malformed, from_json, to_json

_MARK = "sights"


@dataclass
class Trails:
    """A short list: what fades is not written again."""

    history: History
    _written: tuple[Sight, ...] = field(default=())

    def known(self, now: datetime) -> tuple[Sight, ...]:
        """Nothing if another version wrote it in another form: the memory is half an hour long."""
        text = self.history.mark(_MARK)
        if text is None:
            return ()
        try:
            found = from_json(tuple[Sight, ...], json.loads(text))
        except (Malformed, ValueError):
            return ()
        return tuple(sight for sight in found if sight.last >= now - MEMORY)

    def keep(self, sights: Sequence[Sight], now: datetime) -> None:
        """Only if something is new: most networks are quiet most of the time."""
        fresh = tuple(sights)
        if fresh != self._written:
            self.history.add(Note(now), {_MARK: json.dumps(to_json(fresh), separators=(",", ":"))})
            self._written = fresh
