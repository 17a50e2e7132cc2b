"""Every driver that writes, against a device that understands its lines: what we put there we can read and take back.

`model_<platform>.py` has `Model()`, a `ports.Session` whose writes change what its reads answer and which refuses
every line that the real device would refuse, and `CHANGES`, tuples of changes whose `before` is None. `REAL`, if there,
names more such devices, which may skip the test where this machine does not permit them.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest

from switchguard import plugins
from switchguard.core.changes import Change, Enforced
from switchguard.ports import Enforces, Session

Case = tuple[Enforces, Session, tuple[Change, ...]]


def models() -> Iterator[tuple[str, ModuleType]]:
    for name in plugins.driver_names():
        if find_spec(f"model_{name}") is not None:
            yield name, import_module(f"model_{name}")


@pytest.fixture(
    params=[
        pytest.param((name, factory, changes), id=f"{name}-{which}-{number}")
        for name, module in models()
        for which, factory in {"model": module.Model, **getattr(module, "REAL", {})}.items()
        for number, changes in enumerate(module.CHANGES)
    ]
)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    name, factory, changes = request.param
    driver = plugins.driver(name)
    assert isinstance(driver, Enforces)
    device = factory()
    yield driver, device, changes
    device.close()


def wanted(changes: tuple[Change, ...]) -> Enforced:
    return {change.slot: change.after for change in changes if change.after is not None}


def test_what_is_pushed_is_enforced(case: Case) -> None:
    driver, device, changes = case
    start = dict(driver.enforced(device))
    driver.push(device, changes)
    assert driver.enforced(device) == {**start, **wanted(changes)}


def test_the_inverse_restores_the_start(case: Case) -> None:
    driver, device, changes = case
    start = dict(driver.enforced(device))
    driver.push(device, changes)
    driver.push(device, [change.inverse() for change in reversed(changes)])
    assert driver.enforced(device) == start


def test_pushing_twice_is_pushing_once(case: Case) -> None:
    driver, device, changes = case
    driver.push(device, changes)
    once = dict(driver.enforced(device))
    driver.push(device, changes)
    assert driver.enforced(device) == once


def test_releasing_what_is_not_there_is_no_error(case: Case) -> None:
    driver, device, changes = case
    start = dict(driver.enforced(device))
    driver.push(device, [change.inverse() for change in changes])
    assert driver.enforced(device) == start


def test_a_preview_changes_nothing(case: Case) -> None:
    driver, device, changes = case
    start = dict(driver.enforced(device))
    diff = driver.preview(device, changes)
    assert diff.text.strip()
    assert driver.enforced(device) == start


def test_a_preview_of_what_already_stands_is_empty(case: Case) -> None:
    driver, device, changes = case
    driver.push(device, changes)
    assert driver.preview(device, changes).text == ""


def test_rendering_is_pure(case: Case) -> None:
    driver, _, changes = case
    assert driver.render(changes) == driver.render(changes)
    assert all("\n" not in line and "\r" not in line for line in driver.render(changes))
