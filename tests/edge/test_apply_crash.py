"""Rule 7: a crash at any point is repaired by the next cycle. Really killed, at every step, and started again."""

import shutil
from itertools import count
from pathlib import Path

import pytest
from crash_cycle import DEVICES, FINALLY, later, one_cycle, run_and_kill, set_the_scene
from crash_device import Rack

from switchguard.core.changes import Slot
from switchguard.edge.ledger import SqlLedger

SETTLED = 3
"""Cycles until everything is in its final place: a move takes one to fill the new slot, one to see it, one to lift."""


@pytest.mark.timeout(400)  # some hundred processes, and a disk that is really waited for
def test_rule_7_a_process_killed_at_any_step_leaves_nothing_orphaned_and_loses_no_release(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    set_the_scene(scene)
    for step in count(1):
        folder = tmp_path / f"killed at step {step}"
        shutil.copytree(scene, folder)
        died = run_and_kill(folder, step)
        assert settled(folder) == (FINALLY, FINALLY), f"killed at step {step}"
        shutil.rmtree(folder)
        if not died:
            break
    assert step > 50, "a cycle has many more steps than this; the killer has missed them"


def settled(folder: Path) -> tuple[dict[str, set[Slot]], dict[str, set[Slot]]]:
    """What the devices enforce and what the ledger calls verified, when the next cycles have left nothing to do."""
    rack, ledger = Rack(folder), SqlLedger(folder / "ledger.db")
    for minute in range(1, SETTLED + 1):
        one_cycle(rack, ledger, later(minute))
    idle = one_cycle(rack, ledger, later(SETTLED + 1))
    assert (idle.changes, idle.adopted, idle.forgotten) == ((), (), ())
    held = ledger.held()
    ledger.close()
    on_devices = {name: set(rack.read(name)) for name in DEVICES}
    assert all(it.state == "verified" for it in held)
    return on_devices, {name: {it.slot for it in held if it.slot.device == name} for name in DEVICES}
