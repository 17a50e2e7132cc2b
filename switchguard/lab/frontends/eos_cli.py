"""The commands of one eAPI request, in order, as if typed into one fresh login: modes, refusals, results."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from switchguard.lab.frontends.config import (
    LEAVE,
    Command,
    Complaint,
    Grammar,
    Place,
    Rule,
    SyntaxComplaint,
    after_leaving,
    enter,
)
from switchguard.lab.frontends.eos_box import CommandFailed, ConfigSession, EosBox
from switchguard.lab.frontends.eos_commands import PRIVILEGED, SHOW, Output
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.frontends.pipes import pipe

Path = tuple[str, ...]

EXEC = "exec"
INVALID, UNCONVERTED, FAILED, DENIED = 1002, 1003, 1000, 1005
"""eAPI's error codes (Arista eAPI Command API overview, "Error codes")."""


class EosCli:
    """`as_text` is the request's format; `abbreviated` its autoComplete."""

    def __init__(self, box: EosBox, as_text: bool, abbreviated: bool) -> None:
        self.box, self.as_text, self.abbreviated = box, as_text, abbreviated
        self.enabled = False
        self._session: ConfigSession | None = None
        self._name = ""
        self._direct: Path | None = None
        """The open sections in configuration mode without a session, where every line takes effect at once."""
        self._committed = False
        rules = [Rule(EXEC, pattern) for pattern in (*SHOW, *_ACTIONS)]
        self._grammar = Grammar(rules, kinds(box.switch.plane.ports(), "Vlan,Management"), abbreviated)

    async def run(self, command: object) -> dict[str, Any]:
        """The result of one command. CommandFailed ends the request, SessionCut the connection."""
        await self.box.switch.faults.mute()
        line, typed_in = _command(command)
        if self._session is not None:
            return self._result(await self._in_session(self._session, line.strip()))
        if self._direct is not None:
            return self._result(await self._in_configuration(self._direct, line.strip()))
        return self._result(await self._execute(line, typed_in))

    def finish(self) -> None:
        """After the last command."""
        if self._committed:
            self.box.switch.faults.after_commit()

    def _result(self, output: Output) -> dict[str, Any]:
        if self.as_text:
            return {"output": output.text + "\n" if output.text else ""}
        if output.data is None:
            raise CommandFailed(UNCONVERTED, "unconverted command", "This is an unconverted command")
        return output.data

    async def _execute(self, line: str, typed_in: str) -> Output:
        if not line.strip():
            return _DONE
        words, bar, after = line.partition("|")
        parsed = self._grammar.parse(EXEC, words.rstrip())
        if isinstance(parsed, SyntaxComplaint):
            raise refusal(parsed)
        pattern = parsed.rule.pattern
        if not self.enabled and _needs_privilege(pattern):
            raise CommandFailed(DENIED, "command not authorized", "Invalid input (privileged mode required)")
        if bar and pattern in SHOW:
            return self._piped(SHOW[pattern](self.box, parsed), words, after.strip())
        if bar:
            raise _no_such_pipe(words)
        if pattern == "enable":
            return self._enable(typed_in)
        return SHOW[pattern](self.box, parsed) if pattern in SHOW else await _ACTIONS[pattern](self, parsed)

    def _piped(self, output: Output, words: str, after: str) -> Output:
        """`| json` is the structure as text; the filters work on the text."""
        if after == "json" and output.data is not None:
            return Output(json.dumps(output.data, indent=4), output.data)
        filtered = pipe(after)
        if filtered is None:
            raise _no_such_pipe(words)
        return Output(filtered(output.text))

    def _enable(self, secret: str) -> Output:
        if self.box.enable_secret not in ("", secret):
            raise CommandFailed(DENIED, "command not authorized", "Bad secret")
        self.enabled = True
        return _DONE

    # --- configuration mode ------------------------------------------------------------------------------------------

    async def _in_session(self, session: ConfigSession, line: str) -> Output:
        if line == "end" or (line == "exit" and not session.place.path):
            self._session = None
        elif line in ("commit", "abort"):
            self._session = None
            return await self._end_session(line)
        elif line == "rollback clean-config":
            session.place = Place({})
        elif complaint := self.box.type(session, line, self.abbreviated):
            raise refusal(complaint)
        return _DONE

    async def _end_session(self, word: str) -> Output:
        if word == "abort":
            self.box.abort(self._name)
        else:
            await self.box.commit(self._name)
            self._committed = True
        return _DONE

    async def _in_configuration(self, path: Path, line: str) -> Output:
        if line in LEAVE:
            self._direct = after_leaving(path, line) if path and line == "exit" else None
            return _DONE
        place = enter(self.box.grammar(self.abbreviated), Place(self.box.switch.running, path), line)
        if not isinstance(place, Place):
            raise refusal(place)
        await self.box.take(place.tree)
        self._direct, self._committed = place.path, True
        return _DONE

    # --- actions -----------------------------------------------------------------------------------------------------

    async def nothing(self, _: Command) -> Output:
        return _DONE

    async def configure(self, _: Command) -> Output:
        self._direct = ()
        return _DONE

    async def configure_session(self, command: Command) -> Output:
        self._name = command.arguments[0]
        self._session = self.box.open(self._name)
        return _DONE

    async def commit(self, command: Command) -> Output:
        await self.box.commit(command.arguments[0])
        self._committed = True
        return _DONE

    async def commit_on_trial(self, command: Command) -> Output:
        name, duration = command.arguments
        hours, minutes, seconds = map(int, duration.split(":"))
        await self.box.commit(name, hours * 3600 + minutes * 60 + seconds)
        self._committed = True
        return _DONE

    async def abort(self, command: Command) -> Output:
        self.box.abort(command.arguments[0])
        return _DONE

    async def replace(self, command: Command) -> Output:
        await self.box.replace(command.arguments[0])
        return _DONE

    async def copy(self, command: Command) -> Output:
        self.box.copy(*command.arguments)
        return _COPIED

    async def save(self, _: Command) -> Output:
        self.box.switch.save()
        return _COPIED


_DONE = Output("", {})
_COPIED = Output("Copy completed successfully.", {"messages": ["Copy completed successfully."]})

_ACTIONS: Mapping[str, Callable[[EosCli, Command], Awaitable[Output]]] = {
    "enable": EosCli.nothing,
    "exit": EosCli.nothing,
    "configure": EosCli.configure,
    "configure terminal": EosCli.configure,
    "configure session <name>": EosCli.configure_session,
    "configure session <name> commit": EosCli.commit,
    "configure session <name> commit timer <duration>": EosCli.commit_on_trial,
    "configure session <name> abort": EosCli.abort,
    "configure replace <name>": EosCli.replace,
    "copy <name> <name>": EosCli.copy,
    "write": EosCli.save,
    "write memory": EosCli.save,
}
_FOR_EVERYBODY = ("enable", "exit")


def _needs_privilege(pattern: str) -> bool:
    return pattern.startswith(PRIVILEGED) or (pattern in _ACTIONS and pattern not in _FOR_EVERYBODY)


def _no_such_pipe(words: str) -> CommandFailed:
    return refusal(SyntaxComplaint("invalid", len(words.split()), len(words), words + "|"))


def refusal(complaint: Complaint) -> CommandFailed:
    """`Invalid input (at token 1: 'foo')`, tokens counted from 0."""
    if not isinstance(complaint, SyntaxComplaint):
        return CommandFailed(FAILED, "could not run command", complaint.message)
    match complaint.kind:
        case "invalid":
            text = f"Invalid input (at token {complaint.at}: '{complaint.word}')"
        case "incomplete":
            text = f"Incomplete command (at token {complaint.at - 1}: '{complaint.line.split()[-1]}')"
        case "ambiguous":
            text = f"Ambiguous command (at token {complaint.at}: '{complaint.word}')"
    return CommandFailed(INVALID, "invalid command", text)


def _command(command: object) -> tuple[str, str]:
    """A command is a string, or an object with `cmd` and what is typed into it."""
    match command:
        case str():
            return command, ""
        case {"cmd": str(line), "input": str(typed)}:
            return line, typed.strip()
        case {"cmd": str(line)}:
            return line, ""
    raise CommandFailed(INVALID, "invalid command", f"Invalid command {command!r}")


async def run_commands(
    box: EosBox, commands: Sequence[object], as_text: bool, abbreviated: bool
) -> list[dict[str, Any]]:
    """All results, or RequestFailed at the first command that fails."""
    cli = EosCli(box, as_text, abbreviated)
    results: list[dict[str, Any]] = []
    for number, command in enumerate(commands, start=1):
        try:
            results.append(await cli.run(command))
        except CommandFailed as failure:
            shown = command.get("cmd") if isinstance(command, dict) else command
            raise RequestFailed(failure, f"CLI command {number} of {len(commands)} '{shown}'", results) from None
    cli.finish()
    return results


class RequestFailed(Exception):
    """`results` are those of the commands that came through."""

    def __init__(self, failure: CommandFailed, where: str, results: list[dict[str, Any]]) -> None:
        super().__init__(f"{where} failed: {failure.summary}")
        self.failure, self.results = failure, results
