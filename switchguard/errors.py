"""Everything that can go wrong and is worth a sentence to the operator.

SwitchguardError                   exit code 1
├── SiteError                      a file of the site directory: names file, line and the choices
├── UnknownPlugin                  no driver or inventory source of that name: lists those there are
├── BadTarget                      what a person typed is no MAC, address, duration ...
├── LedgerError                    the ledger cannot be read or written
├── AlreadyRunning                 another service has the ledger
├── SnapshotError                  a saved snapshot cannot be read or written: names the file
├── CaptureError                   a saved table cannot be read, or is not what it is said to be: names the file
├── LandingError                   the landing page cannot be served: names the template, or the address taken
├── LabError                       the lab cannot be built here
└── DeviceError                    one device; becomes a Gap or a failed Outcome, never stops the others
    ├── Unreachable                no answer in time, connection refused or lost
    ├── LoginRefused               the device does not accept the credentials
    ├── UnknownHostKey             the SSH host key is not the one on file, or none is
    ├── NotConfigured              the site gives no credentials for this transport
    ├── CommandRefused             the device answered a line with an error
    ├── Busy                       another process of ours is changing it
    ├── StreamLost                 a stream of events ended, or some of it was dropped
    ├── UnexpectedOutput           a line that is neither a row nor known noise
    └── UnexpectedDiff             the device is about to change other lines than ours
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SwitchguardError(Exception):
    """Root of all expected failures; str() is one sentence for the operator."""


class SiteError(SwitchguardError):
    def __init__(self, why: str, file: str | None = None, line: int | None = None) -> None:
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + why)
        self.file, self.line = file, line


class UnknownPlugin(SwitchguardError):
    def __init__(self, sort: str, name: str, choices: Iterable[str]) -> None:
        there_are = sorted(map(str, choices))
        near = get_close_matches(name, there_are, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        super().__init__(f"no {sort} called {name!r}{hint} There are: {', '.join(there_are) or 'none'}")


class BadTarget(SwitchguardError):
    pass


class LedgerError(SwitchguardError):
    pass


class AlreadyRunning(SwitchguardError):
    pass


class SnapshotError(SwitchguardError):
    pass


class CaptureError(SwitchguardError):
    pass


class LandingError(SwitchguardError):
    pass


class LabError(SwitchguardError):
    pass


class DeviceError(SwitchguardError):
    """`why` is the sentence without the device's name, for a Gap that has the name in its own field."""

    def __init__(self, device: str, why: str) -> None:
        super().__init__(f"{device}: {why}")
        self.device, self.why = device, why


class Unreachable(DeviceError):
    pass


class LoginRefused(DeviceError):
    pass


class UnknownHostKey(DeviceError):
    pass


class NotConfigured(DeviceError):
    pass


class CommandRefused(DeviceError):
    def __init__(self, device: str, line: str, answer: str) -> None:
        super().__init__(device, f"refused {line!r}: {answer.strip()}")
        self.line, self.answer = line, answer


class Busy(DeviceError):
    pass


class StreamLost(DeviceError):
    pass


class UnexpectedOutput(DeviceError):
    def __init__(self, device: str, line: str, what: str = "a line that is no row and no known noise") -> None:
        super().__init__(device, f"{what}: {line!r}")
        self.line = line


class UnexpectedDiff(DeviceError):
    def __init__(self, device: str, lines: Iterable[str]) -> None:
        quoted = "; ".join(repr(line) for line in lines)
        super().__init__(device, f"its diff has lines that are not ours, so nothing was committed: {quoted}")
