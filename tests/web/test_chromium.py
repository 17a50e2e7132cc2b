"""The page in a real browser without JavaScript, at the sizes of a phone and of a desk, in every language.

Where SWITCHGUARD_SCREENSHOTS names a folder, the pictures are left there for somebody to look at.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import DESKTOP, PHONE, Tab, browser, installed
from reception import GRANTED, MACS, Reception, verdict

from switchguard.core.penalties import Notify, RateLimit, SessionCap
from switchguard.web.serving import serve

pytestmark = pytest.mark.skipif(
    installed() is None, reason="Chromium is not installed; `.ci/system-packages --tests` installs it"
)
VISITOR = "127.0.0.1"
HERE = {VISITOR: MACS["10.10.0.107"]}


@contextmanager
def served(reception: Reception) -> Iterator[str]:
    """Its URL, while it is served by the server that users have."""
    ports: list[int] = []
    listening = threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    threading.Thread(target=serve, args=(reception.app, VISITOR, 0, ready), daemon=True).start()
    assert listening.wait(10)
    yield f"http://{VISITOR}:{ports[0]}"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def office(tmp_path: Path) -> Iterator[tuple[Reception, str]]:
    reception = Reception(tmp_path, GRANTED)
    with served(reception) as url:
        yield reception, url
    reception.ledger.close()


def keep(tab: Tab, name: str) -> None:
    if folder := os.environ.get("SWITCHGUARD_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(tab.screenshot())


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_it_fits_a_phone_and_a_desk_in_every_language(tab: Tab, office: tuple[Reception, str], language: str) -> None:
    reception, url = office
    reception.sentence(verdict(SessionCap(50)), verdict(RateLimit(64_000), "daily"), verdict(Notify(), "early"))
    reception.look(HERE)
    tab.speaks(language)
    for name, size, dark in (("phone", PHONE, False), ("phone-dark", PHONE, True), ("desktop", DESKTOP, False)):
        tab.size(*size, dark=dark)
        tab.open(url)
        keep(tab, f"held-{language}-{name}")
        shown, wanted = tab.width()
        assert wanted <= shown, "nobody has to scroll sideways"
        assert f'lang="{language}"' in tab.text("html")
        assert tab.computed("button", "cursor") == "pointer", (
            "the page has its own style, which the policy lets through"
        )


def test_the_button_works_by_mouse_and_without_javascript(tab: Tab, office: tuple[Reception, str]) -> None:
    reception, url = office
    reception.sentence(verdict(SessionCap(50)))
    reception.look(HERE)
    tab.size(*PHONE)
    tab.speaks("en")
    tab.open(url)
    assert "limited to 50 connections" in tab.text("h1")
    tab.click("button")
    assert "You are being let back in" in tab.text("h1")
    assert [it.probation for it in reception.ledger.standing()] == [True]
    keep(tab, "let-back")
    reception.lift()
    reception.look(HERE)
    tab.open(url)
    assert "Nothing is held against you" in tab.text("h1")
    keep(tab, "clear")


def test_another_language_is_one_click_away_and_the_button_keeps_it(tab: Tab, office: tuple[Reception, str]) -> None:
    reception, url = office
    reception.sentence(verdict(SessionCap(50)))
    reception.look(HERE)
    tab.size(*DESKTOP)
    tab.speaks("en")
    tab.open(url)
    tab.click('a[hreflang="fr"]')
    assert "est limité à 50 connexions" in tab.text("h1")
    tab.click("button")
    assert "en train d’être rétabli" in tab.text("h1")


def test_the_browser_refuses_a_script_that_somebody_slipped_in(tab: Tab, tmp_path: Path) -> None:
    """With scripts switched on: the policy alone must stop it, even in a site's own template."""
    (tmp_path / "landing").mkdir()
    shipped = (Path(__file__).parents[2] / "switchguard/web/templates/page.html").read_text()
    script = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">"
    (tmp_path / "landing" / "page.html").write_text(shipped.replace("</body>", f"{script}</body>"))
    reception = Reception(tmp_path)
    reception.look(HERE)
    with served(reception) as url:
        tab.scripts(True)
        tab.open(url)
        assert "Your network access" in tab.text("title")
        tab.scripts(False)


def test_a_silent_connection_keeps_nobody_waiting(office: tuple[Reception, str], tab: Tab) -> None:
    reception, url = office
    reception.look(HERE)
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"GET / HTTP/1.1\r\nX: ")
        tab.open(url)
        assert "Nothing is held" in tab.text("h1")
