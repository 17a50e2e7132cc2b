"""A session that can do nothing: for models of devices that are only asked and configured line by line."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from switchguard.ports import Candidate, Oid, SnmpValue, Transport


class BareSession:
    """The rest of `ports.Session`."""

    def speaks(self, transport: Transport) -> bool:
        return transport == "cli"

    def stream(self, command: str) -> Iterator[bytes]:
        raise NotImplementedError

    def feed(self, command: str, text: str) -> str:
        raise NotImplementedError

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        raise NotImplementedError

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        raise NotImplementedError

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        raise NotImplementedError

    def close(self) -> None:
        pass
