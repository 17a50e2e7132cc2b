"""EOS over eAPI: `python -m switchguard.lab.frontends.eos --switch core --listen 10.255.0.10:443 --state DIR`.

JSON-RPC over HTTPS with basic authentication (Arista eAPI Command API) and a certificate of its own making. To be
started in the switch's network namespace.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from switchguard.lab.frontends.certificate import self_signed, showing
from switchguard.lab.frontends.eos_box import EosBox
from switchguard.lab.frontends.eos_cli import RequestFailed, run_commands
from switchguard.lab.frontends.http import HttpServer, Reply
from switchguard.lab.frontends.start import Options, options, run

PATH = "/command-api"
PARSE_ERROR, NO_METHOD, BAD_PARAMS = -32700, -32601, -32602
"""JSON-RPC 2.0, section 5.1."""
STRANGER = Reply(
    HTTPStatus.UNAUTHORIZED,
    "Unable to authenticate user: Bad username/password combination",
    {"WWW-Authenticate": 'Basic realm="COMMAND_API_AUTH"'},
)


class EosServer(HttpServer):
    def __init__(self, box: EosBox, passwords: Mapping[str, str]) -> None:
        super().__init__(box.switch.name, passwords, PATH, self._called, STRANGER)
        self.box = box

    def reload(self) -> None:
        self.box.reload()
        self.cut()

    async def _called(self, body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, json.dumps(await self._call(body)))

    async def _call(self, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body)
        except ValueError:
            return _error(None, PARSE_ERROR, "Parse error")
        if not isinstance(request, dict) or request.get("method") != "runCmds":
            return _error(None, NO_METHOD, "Method not found")
        identity, params = request.get("id"), request.get("params")
        if not isinstance(params, dict) or not isinstance(params.get("cmds"), list):
            return _error(identity, BAD_PARAMS, "Invalid params")
        as_text, abbreviated = params.get("format") == "text", params.get("autoComplete") is True
        try:
            results = await run_commands(self.box, params["cmds"], as_text, abbreviated)
        except RequestFailed as failed:
            data = [*failed.results, {"errors": list(failed.failure.errors)}]
            return _error(identity, failed.failure.code, str(failed), data)
        return {"jsonrpc": "2.0", "id": identity, "result": results}


def _error(identity: object, code: int, message: str, data: Sequence[object] = ()) -> dict[str, Any]:
    extra = {"data": list(data)} if data else {}
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message, **extra}}


async def serve(given: Options) -> None:
    box = EosBox(given.switch, given.plane, given.chassis, given.state, given.faults, given.enable_secret)
    server = EosServer(box, given.passwords)
    await server.start(given.host, given.port, showing(self_signed(given.state, given.switch)))
    while True:
        await given.faults.reload_asked()
        server.reload()
        given.faults.reload_done()


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "EOS over eAPI"))


if __name__ == "__main__":
    main()
