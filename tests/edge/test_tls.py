"""eAPI over TLS: whoever cannot prove to be the switch is told nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nxapi_server import NxApi, nxapi
from servers import Eapi

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.errors import NotConfigured, UnknownHostKey
from switchguard.lab.frontends.certificate import self_signed
from switchguard.ports import Endpoint, Secret, Session

CORE = Device("core", "arista_eos", Role.CORE)


@dataclass
class OverTls(NxApi):
    eapi: Eapi = field(default_factory=lambda: Eapi({"show clock": "now"}))

    def respond(self, authorization: str, request: bytes) -> tuple[int, bytes]:
        return self.eapi.respond(authorization, request)


@contextmanager
def asking(switch: OverTls, ca_file: Path | None) -> Iterator[Session]:
    known = None if ca_file is None else str(ca_file)
    options = {"transport": "https", "port": switch.port}
    way = Endpoint("127.0.0.1", None, "net", Secret("secret"), timeout_s=2.0, napalm_options=options, ca_file=known)
    with open_session(CORE, way) as session:
        yield session


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[OverTls]:
    device = OverTls()
    with nxapi(device, self_signed(tmp_path, "core", ["127.0.0.1"])):
        yield device


def test_an_authority_on_file_vouches_for_the_switch(switch: OverTls, tmp_path: Path) -> None:
    with asking(switch, tmp_path / "https.crt") as session:
        assert session.ask("show clock") == "now"


def test_a_certificate_of_somebody_else_is_told_nothing(switch: OverTls, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = self_signed(tmp_path / "other", "core", ["127.0.0.1"])
    with asking(switch, other) as session, pytest.raises(UnknownHostKey, match=r"127\.0\.0\.1 shows .*`ca_file` names"):
        session.ask("show clock")
    assert switch.eapi.heard == []


def test_a_certificate_on_file_is_the_switch_whatever_its_name(tmp_path: Path) -> None:
    device = OverTls()
    certificate = self_signed(tmp_path, "core", [])
    with nxapi(device, certificate), asking(device, certificate) as session:
        assert session.ask("show clock") == "now"


def test_a_file_without_certificates_is_not_configured(switch: OverTls, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    with asking(switch, tmp_path / "empty.pem") as session, pytest.raises(NotConfigured, match="holds no certificate"):
        session.ask("show clock")


def test_without_a_file_the_machine_must_know_who_vouches_for_it(switch: OverTls) -> None:
    with asking(switch, None) as session, pytest.raises(UnknownHostKey, match="not to be trusted: self"):
        session.ask("show clock")
    assert switch.eapi.heard == []


def test_every_question_goes_over_a_line_that_was_verified(switch: OverTls, tmp_path: Path) -> None:
    with asking(switch, tmp_path / "https.crt") as session:
        assert [session.ask("show clock") for _ in range(3)] == ["now"] * 3
