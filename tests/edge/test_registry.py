"""Whose device is whose: a list that is wrong anywhere is not used at all."""

from pathlib import Path

import pytest

from switchguard.core.model import Mac
from switchguard.edge.registry import Registry, read_registry
from switchguard.errors import SiteError

SEVEN, EIGHT = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
BOTH = {SEVEN: "ann", EIGHT: "bob"}


def written(directory: Path, name: str, text: str) -> Path:
    (directory / name).write_text(text, encoding="utf-8")
    return directory / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("people.csv", "mac,person\n02:00:00:00:00:07,ann\n0200.0000.0008,bob\n"),
        ("people.csv", "\ufeffPerson;Room;MAC\nann;1.07;02-00-00-00-00-07\n\nbob;;020000-000008\n"),
        ("people.csv", 'person\tmac\nann\t"02:00:00:00:00:07"\nbob\t020000000008\n'),
        ("people.yaml", "ann: [02:00:00:00:00:07]\nbob:\n  - 0200.0000.0008\n"),
    ],
)
def test_a_list_may_be_written_in_many_ways(tmp_path: Path, name: str, text: str) -> None:
    assert read_registry(written(tmp_path, name, text)) == BOTH


def test_the_same_device_twice_for_the_same_person_is_once(tmp_path: Path) -> None:
    text = "mac,person\n02:00:00:00:00:07,ann\n0200.0000.0007,ann\n"
    assert read_registry(written(tmp_path, "people.csv", text)) == {SEVEN: "ann"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "mac,person\n02:00:00:00:00,ann\n", "p.csv:2: '02:00:00:00:00' is not a MAC address"),
        ("p.csv", "mac,person\n02:00:00:00:00:07,\n", "p.csv:2: 02:00:00:00:00:07 belongs to nobody"),
        ("p.csv", "mac,person\n02:00:00:00:00:07\n", "p.csv:2: has 1 fields, where the first line has 2"),
        (
            "p.csv",
            "mac,person\n02:00:00:00:00:07,ann\n0200.0000.0007,bob\n",
            "p.csv:3: 02:00:00:00:00:07 belongs to 'ann' already, and to 'bob'",
        ),
        ("p.csv", "address,person\n", "p.csv:1: has no column 'mac'; its first line must name mac and person"),
        ("p.csv", "", "p.csv: is empty; its first line names the columns: mac,person"),
        ("p.csv", 'mac,person\n02:00:00:00:00:07,"ann', "p.csv:2: is no row of a CSV file"),
        ("p.yaml", "- 02:00:00:00:00:07\n", "p.yaml:1: is not a mapping of people to lists of MAC addresses"),
        ("p.yaml", "ann: 02:00:00:00:00:07\n", "p.yaml:1: ann: a list of MAC addresses is expected, not"),
        ("p.yaml", "ann:\n  - 02:00:00:00:00:07\n  - printer\n", "p.yaml:3: 'printer' is not a MAC address"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(SiteError) as caught:
        read_registry(written(tmp_path, name, text))
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(said)


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"people\.csv: cannot be read"):
        read_registry(tmp_path / "people.csv")
    (tmp_path / "people.csv").write_bytes(b"mac,person\n\xff\n")
    with pytest.raises(SiteError, match=r"people\.csv: cannot be read"):
        read_registry(tmp_path / "people.csv")


def test_the_list_is_read_again_when_it_changes(tmp_path: Path) -> None:
    registry = Registry(written(tmp_path, "people.csv", "mac,person\n02:00:00:00:00:07,ann\n"))
    assert registry.people() == registry.people() == {SEVEN: "ann"}
    written(tmp_path, "people.csv", "mac,person\n02:00:00:00:00:07,ann\n0200.0000.0008,bob\n")
    assert registry.people() == BOTH


def test_a_list_that_breaks_is_unknown_until_it_is_right_again(tmp_path: Path) -> None:
    """Nobody is shut out by half a list."""
    registry = Registry(written(tmp_path, "people.csv", "mac,person\n02:00:00:00:00:07,ann\n"))
    registry.people()
    written(tmp_path, "people.csv", "mac,person\nprinter,ann\n")
    assert registry.people() is None
    assert registry.why is not None
    assert "people.csv:2: 'printer' is not a MAC address" in registry.why
    (tmp_path / "people.csv").unlink()
    assert registry.people() is None
    written(tmp_path, "people.csv", "mac,person\n02:00:00:00:00:07,ann\n0200.0000.0008,bob\n")
    assert registry.people() == BOTH
    assert registry.why is None
