"""A registry in NetBox: whole or none, and the token goes nowhere else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from netbox_server import TOKEN, Shelf, contact, mac, named, netbox

from switchguard.core.model import Mac
from switchguard.edge import netbox as reader
from switchguard.edge.netbox import CONTACTS, MACS, OWNERS, NetBox, NetBoxRegistry, Person
from switchguard.edge.settings import load_site, missing_credentials
from switchguard.errors import SiteError
from switchguard.lab.frontends.certificate import self_signed, showing
from switchguard.ports import Secret

SEVEN, EIGHT, NINE = (Mac(0x020000000007 + n) for n in range(3))
LAPTOP, VM = named(21, "laptop-21"), named(5, "vm-5")
DEVICES = OWNERS["dcim.device"]
MACHINES = OWNERS["virtualization.virtualmachine"]


def shelf() -> Shelf:
    return Shelf(
        {
            MACS: [
                mac(1, "02:00:00:00:00:07", LAPTOP),
                mac(2, "02:00:00:00:00:08", VM, "virtualization.vminterface"),
                mac(3, "02:00:00:00:00:09", None),
            ],
            DEVICES: [named(21, "laptop-21", tenant=named(1, "Physics")), named(22, None, tenant=None)],
            MACHINES: [named(5, "vm-5", tenant=None)],
            CONTACTS: [
                contact("dcim.device", 21, "gone", "inactive"),
                contact("dcim.device", 21, "bob", "secondary"),
                contact("dcim.device", 21, "ada", "primary"),
                contact("dcim.site", 5, "eve", None),
            ],
        }
    )


@pytest.fixture
def there() -> Iterator[Shelf]:
    with netbox(shelf()) as running:
        yield running


def asking(there: Shelf, person: Person = "tenant", token: str = TOKEN) -> NetBox:
    return NetBox(there.url, Secret(token), person, timeout_s=5.0)


@pytest.mark.parametrize(("person", "of_seven"), [("tenant", "Physics"), ("contact", "ada"), ("device", "laptop-21")])
def test_a_mac_belongs_to_whom_the_site_says(there: Shelf, person: Person, of_seven: str) -> None:
    assert NetBoxRegistry(asking(there, person)).people() == {SEVEN: of_seven, EIGHT: "vm-5", NINE: str(NINE)}


def test_every_page_is_read_from_the_configured_host_whatever_next_says(there: Shelf) -> None:
    there.page = 1
    people = NetBoxRegistry(asking(there)).people()
    assert people is not None
    assert len(people) == 3
    assert len([path for path in there.asked if path.startswith(MACS)]) == 3


def test_a_mac_of_two_belongs_to_both(there: Shelf) -> None:
    there.rows[MACS].append(mac(4, "02-00-00-00-00-07", named(22, None)))
    people = NetBoxRegistry(asking(there)).people()
    assert people is not None
    assert people[SEVEN] == "Physics, Unnamed (22)"


def test_a_new_token_is_a_bearer(there: Shelf) -> None:
    there.accepts = "Bearer nbt_key.secret"
    assert NetBoxRegistry(asking(there, token="nbt_key.secret")).people() is not None


def test_a_list_is_asked_for_again_when_it_is_old(there: Shelf) -> None:
    clock = [0.0]
    registry = NetBoxRegistry(replace(asking(there, "device"), refresh_s=600), lambda: clock[0])
    registry.people()
    there.rows[MACS] = there.rows[MACS][:1]
    clock[0] = 599.0
    assert len(registry.people() or ()) == 3
    clock[0] = 600.0
    assert registry.people() == {SEVEN: "laptop-21"}


def test_after_a_failure_nobody_is_registered_or_not_and_it_is_tried_again(there: Shelf) -> None:
    clock = [0.0]
    registry = NetBoxRegistry(asking(there, "device"), lambda: clock[0])
    there.raw = {MACS: (500, {}, b"")}
    assert (registry.people(), registry.why) == (None, f"{there.url}: {MACS} answers 500 Internal Server Error")
    there.raw = {}
    assert registry.people() is None
    clock[0] = reader.RETRY_S
    assert registry.people() is not None
    assert registry.why is None


PAGE = b'{"count": 0, "next": null, "previous": null, "results": []}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "why"),
    [
        (200, {}, PAGE, "lists no MAC address; may the token view them?"),
        (200, {}, b"[]", "answers no page of a list"),
        (200, {}, b'{"count": 1}', "answers no page of a list"),
        (200, {}, b"<html>", "answers no JSON"),
        (200, {"Content-Length": "99"}, b'{"count"', "answers no JSON"),
        (200, {}, PAGE.replace(b"[]", b'[{"id": 7, "mac_address": "x"}]'), "row 7 of /api/dcim/mac-addresses/ has no"),
        (200, {}, PAGE.replace(b": 0", b": 3"), "told 0 of 3 rows"),
        (200, {}, PAGE.replace(b"null", b'"?again"', 1), "has more than 300 pages"),
        (
            302,
            {"Location": "http://127.0.0.1:9/"},
            b"",
            "redirects to http://127.0.0.1:9/; if that is NetBox, write it",
        ),
        (403, {}, b"", "answers 403 Forbidden: is the token valid, and may it view this?"),
        (404, {}, b"", "answers 404 Not Found: NetBox 4.2 or newer is needed"),
    ],
)
def test_an_answer_that_is_no_list_leaves_no_registry(
    there: Shelf, status: int, headers: dict[str, str], body: bytes, why: str
) -> None:
    there.raw = {MACS: (status, headers, body)}
    registry = NetBoxRegistry(asking(there))
    assert registry.people() is None
    assert why in str(registry.why)
    assert TOKEN not in str(registry.why)


def test_an_assignment_that_nobody_knows_leaves_no_registry(there: Shelf) -> None:
    there.rows[MACS][0]["assigned_object_type"] = "dcim.cable"
    registry = NetBoxRegistry(asking(there))
    assert registry.people() is None
    assert "row 1 of /api/dcim/mac-addresses/ is assigned to something unknown" in str(registry.why)


def test_tenants_that_cannot_be_read_leave_no_registry(there: Shelf) -> None:
    there.rows[DEVICES] = [named(21, "laptop-21")]
    registry = NetBoxRegistry(asking(there))
    assert registry.people() is None
    assert "row 21 of /api/dcim/devices/ is no row of NetBox 4.2" in str(registry.why)


def test_a_netbox_that_is_not_there_leaves_no_registry() -> None:
    with netbox(shelf()) as there:
        access = asking(there)
    registry = NetBoxRegistry(access)
    assert registry.people() is None
    assert "cannot be reached" in str(registry.why)


def test_an_answer_that_is_too_large_is_not_kept(there: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_OCTETS", 100)
    registry = NetBoxRegistry(asking(there))
    assert registry.people() is None
    assert "an answer has more than" in str(registry.why)


def test_patience_is_for_all_answers_together(there: Shelf) -> None:
    clock = iter(range(0, 1000, 20))
    registry = NetBoxRegistry(asking(there), lambda: next(clock))
    assert registry.people() is None
    assert "did not tell everything within 30 s" in str(registry.why)


def test_a_token_with_a_line_break_is_refused_and_not_repeated(there: Shelf) -> None:
    registry = NetBoxRegistry(asking(there, token=f"{TOKEN}\nX: y"))
    assert registry.people() is None
    assert registry.why == f"{there.url}: the token has characters that no token has"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    file = self_signed(tmp_path, "netbox", ["127.0.0.1"])
    with netbox(shelf(), showing(file)) as there:
        registry = NetBoxRegistry(asking(there, "device"))
        assert registry.people() is None
        assert "CERTIFICATE_VERIFY_FAILED" in str(registry.why)
        assert there.asked == []
        assert NetBoxRegistry(replace(asking(there, "device"), ca_file=str(file))).people() is not None


# --- settings --------------------------------------------------------------------------------------------------------


def site(directory: Path, registry: str) -> Path:
    (directory / "hosts.yaml").write_text("gw1: {platform: linux, data: {switchguard: {role: gateway}}}\n")
    rule = "rules:\n  members: {kind: registered_only, penalty: {limit: 1Mbps}}\n"
    (directory / "switchguard.yaml").write_text(f"registry:\n  {registry}\n{rule}")
    return directory


def test_a_site_names_its_netbox_and_asks_nobody_while_it_is_read(tmp_path: Path) -> None:
    text = "netbox: {url: https://netbox.example.org/, token: {env: NO_SUCH_TOKEN}, person: contact, refresh: 5m}"
    loaded = load_site(site(tmp_path, text))
    assert isinstance(loaded.registry, NetBox)
    assert (loaded.registry.url, loaded.registry.person) == ("https://netbox.example.org", "contact")
    assert (loaded.registry.refresh_s, loaded.policy.registry) == (300.0, None)
    (missing,) = missing_credentials(loaded)
    assert "NO_SUCH_TOKEN is not set" in str(missing)
    assert NetBoxRegistry(loaded.registry).people() is None


GOOD = "url: https://netbox.example.org, token: {env: T}"


@pytest.mark.parametrize(
    ("registry", "line", "why"),
    [
        ("netbox: {url: http://netbox.example.org, token: {env: T}}", 2, "the token would travel unencrypted"),
        ("netbox: {url: netbox.example.org, token: {env: T}}", 2, "is no address of a NetBox"),
        ("netbox: {url: https://ada:secret@netbox.example.org, token: {env: T}}", 2, "is no address of a NetBox"),
        ("netbox: {url: https://netbox.example.org}", 2, "token"),
        (f"netbox: {{{GOOD}, refersh: 5m}}", 2, "did you mean 'refresh'"),
        (f"netbox: {{{GOOD}, person: tenants}}", 2, "tenant"),
        (f"netbox: {{{GOOD}, timeout: 10}}", 2, "10"),
        (f"netbox: {{{GOOD}, ca_file: no.pem}}", 2, "registry: there is no file"),
        (f"netbox: {{{GOOD}}}\n  file: people.csv", 1, "a registry is either a 'file' or 'netbox'"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, registry: str, line: int, why: str) -> None:
    with pytest.raises(SiteError) as caught:
        load_site(site(tmp_path, registry))
    assert f"switchguard.yaml:{line}: " in str(caught.value)
    assert why in str(caught.value)


def test_a_token_in_plain_text_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        load_site(site(tmp_path, f"netbox: {{url: https://netbox.example.org, token: {TOKEN}}}"))
    assert "a secret in plain text is refused" in str(caught.value)
    assert TOKEN not in str(caught.value)
