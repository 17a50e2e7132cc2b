"""A client of the lab is caught by the service, reads its own case from its own address, and lets itself back in."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import INTERNET_HOST, ON_CORE, PATIENCE_S, SWITCHGUARD, Desk
from test_e2e_by_hand import answered

from switchguard.core.penalties import Penalty, SessionCap
from switchguard.lab.control import Lab, LabClient
from switchguard.lab.kernel import entered

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
CULPRIT, NEIGHBOUR = ON_CORE, "c09"
ADDRESS, PORT = "10.10.0.1", 8888
PAGE = f"http://{ADDRESS}:{PORT}"
CAPPED, WATCHED = SessionCap(20), SessionCap(500)

FETCH = """
import sys, urllib.error, urllib.parse, urllib.request
url, forged, *form = sys.argv[1:]
data = urllib.parse.urlencode({"token": form[0]}).encode() if form else None
request = urllib.request.Request(url, data, {"X-Forwarded-For": forged, "Accept-Language": "fr"})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    print(opener.open(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""


def reads(client: LabClient, path: str = "/?lang=en", forged: str = "", token: str = "", host: str = PAGE) -> str:
    """What a browser in the client's own namespace gets, redirects followed; with a token, after its button."""
    words = [sys.executable, "-c", FETCH, host + path, forged, *([token] if token else [])]
    done = client.run(words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def page(desk: Desk) -> Iterator[None]:
    """On the gateway, where the clients reach it."""
    words = [SWITCHGUARD, "--site", str(desk.site), "web", "landing", "--listen", f"{ADDRESS}:{PORT}", "--json"]
    with entered(desk.lab.topology.gateway.name):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert json.loads(said)["url"] == f"{PAGE}/"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def held(desk: Desk) -> set[tuple[Penalty, str]]:
    return {(it.penalty, it.state) for it in desk.ledger.held()}


def grants(desk: Desk) -> None:
    """A policy that caps swarms at the gateway, and lets them back once."""
    desk.policy("enforce_at: core", "enforce_at: gateway")
    desk.policy("block: mac, lasts: 2h, escalate: 2x, at_most: 2d", f"cap: {CAPPED.sessions}, lasts: 2h")
    granted = f"{{per_day: 1, probation: {{cap: {WATCHED.sessions}, lasts: 1h}}}}"
    desk.policy("rules:\n", f"landing: {{contact: the people of the lab, let_me_back: {granted}}}\nrules:\n")


def led_here(client: LabClient) -> str:
    """The lines of docs/landing.md, for this client alone and the lab's port."""
    lines: str
    (lines,) = re.findall(r"```nft\n(.*?)```", (ROOT / "docs" / "landing.md").read_text(), re.DOTALL)
    assert ("10.99.0.0/16" in lines, ":8080" in lines) == (True, True)
    return lines.replace("10.99.0.0/16", client.address).replace(":8080", f":{PORT}")


def test_a_client_reads_its_own_case_and_lets_itself_back_in(lab: Lab, desk: Desk) -> None:
    grants(desk)
    culprit, neighbour = lab.client(CULPRIT), lab.client(NEIGHBOUR)
    lab.swarm(CULPRIT, peers=400)
    with desk.begins("run"), page(desk):
        lab.wait_for(lambda: desk.states() == {culprit.mac: "verified"}, "the cap", PATIENCE_S)
        lab.wait_for(lambda: "limited to 20 connections" in reads(culprit), "the case on the page", PATIENCE_S)
        mine, theirs = reads(culprit, forged=neighbour.address), reads(neighbour, forged=culprit.address)
        for words in ("different computers", "the people of the lab", "I have fixed it"):
            assert words in mine
            assert words == "the people of the lab" or words not in theirs
        assert "Nothing is held against you" in theirs
        assert "est limité à 20 connexions" in reads(culprit, "/generate_204"), "led to the page, in its own language"

        with entered(lab.topology.gateway.name):
            subprocess.run(["nft", "-f", "-"], input=led_here(culprit), text=True, check=True)
        assert "limited to 20 connections" in reads(culprit, "/?lang=en", host=f"http://{INTERNET_HOST}")

        token = re.search(r'name="token" value="([^"]+)"', mine)
        assert token is not None
        assert reads(neighbour, "/let-me-back?lang=en", token=token[1]).startswith("403 ")
        lab.quiet()
        with entered(lab.topology.gateway.name):
            subprocess.run(["conntrack", "-D", "-s", culprit.address], capture_output=True, check=False)
        assert answered(culprit, 5000, 40) <= CAPPED.sessions
        assert "You are being let back in" in reads(culprit, "/let-me-back?lang=en", token=token[1])
        lab.wait_for(lambda: held(desk) == {(WATCHED, "verified")}, "the next pass", PATIENCE_S)
        assert answered(culprit, 6000, 40) == 40
        lab.wait_for(lambda: "on probation" in reads(culprit), "the probation on the page", PATIENCE_S)
        assert "<form" not in reads(culprit)
    (told,) = [event for event in desk.ledger.history(culprit.mac) if event.what == "let back"]
    assert told.who == f"whoever is at {culprit.address}"
