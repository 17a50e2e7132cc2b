"""One sshd and one snmpd for all tests of the edge."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Sshd, free_port, snmpd, sshd


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def snmp_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with snmpd(tmp_path_factory.mktemp("snmpd"), free_port(socket.SOCK_DGRAM)) as port:
        yield port


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    directory = tmp_path / "flash"
    directory.mkdir()
    return directory
