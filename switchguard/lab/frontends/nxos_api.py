"""NX-API of an NX-OS switch: JSON-RPC in a POST to /ins, over HTTPS with a certificate of its own making.

Read for this: Cisco Nexus 9000 Series NX-OS Programmability Guide, NX-API CLI; answers of a Nexus 9000 in NAPALM's
tests. Each request is a login of its own: configuration mode ends with it. After a line that is refused, the rest of
a request is not executed. What is printed where a real switch answers with structured data is left out.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from switchguard.lab.frontends.http import HttpServer, Reply
from switchguard.lab.frontends.nxos_session import NxosSession
from switchguard.lab.frontends.switch import Switch

PATH, PORT = "/ins", 443
METHODS = ("cli", "cli_ascii")
PARSE_ERROR, NO_METHOD, BAD_PARAMS = -32700, -32601, -32602
"""JSON-RPC 2.0, section 5.1."""
STRANGER = Reply(HTTPStatus.UNAUTHORIZED, "", {"WWW-Authenticate": 'Basic realm="Secure Zone"'})


class NxosApi(HttpServer):
    def __init__(self, switch: Switch, passwords: Mapping[str, str]) -> None:
        super().__init__(switch.name, passwords, PATH, self._called, STRANGER)
        self._switch = switch

    async def _called(self, body: bytes) -> Reply:
        try:
            asked = json.loads(body)
        except ValueError:
            return _reply([_error(None, PARSE_ERROR, "Parse error", "")], single=True)
        requests = asked if isinstance(asked, list) else [asked]
        session = NxosSession(self._switch)
        answers: list[dict[str, Any]] = []
        for request in requests:
            answers.append(await _answer(session, request))
            if "error" in answers[-1]:
                break
        return _reply(answers, single=len(requests) == 1)


async def _answer(session: NxosSession, request: object) -> dict[str, Any]:
    match request:
        case {"id": int() as number, "method": str() as method, "params": {"cmd": str() as command, "version": 1}}:
            if method not in METHODS:
                return _error(number, NO_METHOD, "Method not found", "")
        case _:
            return _error(None, BAD_PARAMS, "Invalid params", "")
    said = await session.answer(command)
    if "\n% " in f"\n{said}" or said.startswith("ERROR:"):
        return _error(number, BAD_PARAMS, "Invalid params", said)
    return {"jsonrpc": "2.0", "result": {"msg": said} if method == "cli_ascii" and said else None, "id": number}


def _error(number: int | None, code: int, message: str, said: str) -> dict[str, Any]:
    error = {"code": code, "message": message, "data": {"msg": said}}
    return {"jsonrpc": "2.0", "error": error, "id": number}


def _reply(answers: list[dict[str, Any]], single: bool) -> Reply:
    """A single question has a single answer, also in a list."""
    status = HTTPStatus.BAD_REQUEST if any("error" in answer for answer in answers) else HTTPStatus.OK
    return Reply(status, json.dumps(answers[0] if single else answers))
