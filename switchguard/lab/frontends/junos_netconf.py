"""NETCONF over SSH as Junos speaks it, as far as PyEZ goes when NAPALM loads, compares, commits and discards.

RFC 6242 section 3 (messages that end in `]]>]]>`; base:1.0 is all that we offer), RFC 6241 sections 4 and 8.1 (hello,
rpc, rpc-error). The operations are those of Juniper's Junos XML Management Protocol guide: lock-configuration,
unlock-configuration, load-configuration with action="set" or compare="rollback", get-configuration with
compare="rollback", commit-configuration with check and confirmed, close-session.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from switchguard.lab.frontends.junos_box import JunosBox
from switchguard.lab.frontends.junos_config import Refusal
from switchguard.lab.frontends.schema_junos import check

END = "]]>]]>"
_BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
_CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.0",
    "http://xml.juniper.net/netconf/junos/1.0",
)
_MINUTES = 10
"""Of a confirmed commit that does not say how many."""
_LONGEST = 1 << 20


class Stream(Protocol):
    """What a session reads from and writes to."""

    async def read(self) -> str:
        """Some characters; EOFError at the end."""

    def write(self, text: str) -> None: ...


class NetconfSession:
    def __init__(self, box: JunosBox, stream: Stream, number: int) -> None:
        self._box, self._stream, self._number = box, stream, number
        self._unread = ""
        self._over = False

    async def converse(self) -> None:
        """Until one of both ends it. Its lock and what it did not commit end with it. SessionCut, EOFError."""
        self._stream.write(self._hello())
        try:
            await self._message()
            while not self._over:
                self._stream.write(await self._reply(await self._message()))
        finally:
            self._box.leave(self)

    def _hello(self) -> str:
        capabilities = "".join(f"<capability>{it}</capability>" for it in _CAPABILITIES)
        said = f"<capabilities>{capabilities}</capabilities><session-id>{self._number}</session-id>"
        return f'<hello xmlns="{_BASE}">{said}</hello>\n{END}\n'

    async def _message(self) -> str:
        while END not in self._unread:
            if len(self._unread) > _LONGEST:
                raise EOFError
            self._unread += await self._stream.read()
        message, _, self._unread = self._unread.partition(END)
        return message

    async def _reply(self, message: str) -> str:
        await self._box.faults.mute()
        try:
            rpc = ElementTree.fromstring(message.strip())  # noqa: S314  of a client in the lab's own network
        except ElementTree.ParseError as error:
            return _framed("", _errors([Refusal(f"malformed message ({error})")]))
        operation = rpc[0] if len(rpc) else rpc
        action = _OPERATIONS.get(_name(operation))
        said = await action(self, operation) if action else _errors([Refusal("syntax error", _name(operation))])
        return _framed(rpc.get("message-id", ""), said)

    # --- operations --------------------------------------------------------------------------------------------------

    async def lock(self, _: ElementTree.Element) -> str:
        return _ok(self._box.lock(self))

    async def unlock(self, _: ElementTree.Element) -> str:
        return _ok(self._box.unlock(self))

    async def load(self, operation: ElementTree.Element) -> str:
        if operation.get("compare") == "rollback":
            return _results(_refusals(self._box.rollback(_number(operation.get("rollback")))))
        lines = [part for part in operation if _name(part) == "configuration-set"]
        if operation.get("action") != "set" or not lines:
            return _results([Refusal("unsupported action", operation.get("action", "merge"))])
        return _results(self._box.load((lines[0].text or "").splitlines()))

    async def get(self, operation: ElementTree.Element) -> str:
        if operation.get("compare") != "rollback" or operation.get("format") != "text":
            return _errors([Refusal("unsupported request", "get-configuration")])
        text = self._box.compare(_number(operation.get("rollback")))
        output = f"<configuration-output>\n{escape(text)}\n</configuration-output>" if text else _NO_OUTPUT
        return f"<configuration-information>{output}</configuration-information>"

    async def commit(self, operation: ElementTree.Element) -> str:
        options = {_name(part): part.text or "" for part in operation}
        if "check" in options:
            return _ok(*check(self._box.candidate))
        minutes = _number(options.get("confirm-timeout") or str(_MINUTES)) if "confirmed" in options else None
        return _ok(*await self._box.commit(minutes))

    async def close(self, _: ElementTree.Element) -> str:
        self._over = True
        return "<ok/>"


_NO_OUTPUT = "<configuration-output>\n</configuration-output>"
_OPERATIONS: dict[str, Callable[[NetconfSession, ElementTree.Element], Awaitable[str]]] = {
    "lock-configuration": NetconfSession.lock,
    "unlock-configuration": NetconfSession.unlock,
    "load-configuration": NetconfSession.load,
    "get-configuration": NetconfSession.get,
    "commit-configuration": NetconfSession.commit,
    "close-session": NetconfSession.close,
}


# --- replies ---------------------------------------------------------------------------------------------------------


def _name(part: ElementTree.Element) -> str:
    return part.tag.rpartition("}")[2]


def _number(text: str | None) -> int:
    """0, the active configuration, for anything else than a number."""
    return int(text) if text and text.isdecimal() else 0


def _refusals(refusal: Refusal | None) -> list[Refusal]:
    return [refusal] if refusal else []


def _framed(message_id: str, said: str) -> str:
    return f'<rpc-reply xmlns="{_BASE}" message-id={quoteattr(message_id)}>\n{said}\n</rpc-reply>\n{END}\n'


def _ok(*refused: Refusal | None) -> str:
    told = [refusal for refusal in refused if refusal]
    return _errors(told) if told else "<ok/>"


def _results(refused: list[Refusal]) -> str:
    """Warnings alone do not keep a load from being done."""
    done = "" if any(not refusal.warning for refusal in refused) else "<ok/>"
    return f"<load-configuration-results>{_errors(refused)}{done}</load-configuration-results>"


def _errors(refused: Iterable[Refusal]) -> str:
    return "".join(
        "<rpc-error><error-type>protocol</error-type><error-tag>operation-failed</error-tag>"
        f"<error-severity>{'warning' if refusal.warning else 'error'}</error-severity>"
        f"<error-path>{escape(refusal.place)}</error-path><error-message>{escape(refusal.message)}</error-message>"
        f"<error-info><bad-element>{escape(refusal.word)}</bad-element></error-info></rpc-error>"
        for refusal in refused
    )
