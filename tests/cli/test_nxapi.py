"""A switch that is reached over HTTPS only, on the command line."""

import socket
from pathlib import Path

import pytest

from switchguard.cli.main import run

HOSTS = """\
nx1:
  hostname: 127.0.0.1
  port: {port}
  platform: cisco_nxos
  username: net
  data:
    switchguard:
      role: core
      password: {{file: password}}
      known_hosts: known_hosts
      timeout: 1s
      napalm: {{transport: https, port: {port}}}
"""


def test_nobody_is_asked_to_trust_an_ssh_key_that_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "switchguard.yaml").write_text("ledger: ledger.db\n")
    (tmp_path / "password").write_text("secret\n")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        (tmp_path / "hosts.yaml").write_text(HOSTS.format(port=port))
        assert run(["--site", str(tmp_path), "check", "--connect", "--accept-host-keys"]) == 1
    said = capsys.readouterr()
    told = " ".join((said.out + said.err).split())
    assert f"nx1 enforced: 127.0.0.1:{port} refuses the connection" in told
