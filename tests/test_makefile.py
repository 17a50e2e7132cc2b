"""`make test` runs every test that needs a lab, in some lab."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_lab_test_is_run_by_make_test() -> None:
    labs = re.search(r"^LABS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert labs is not None
    command = ["make", "--dry-run", "--no-print-directory", *labs[1].split()]
    would_do = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    marked = {file.name for file in (ROOT / "tests/lab").glob("test_*.py") if "pytest.mark.lab" in file.read_text()}
    assert marked
    assert sorted(name for name in marked if f"tests/lab/{name}" not in would_do) == []
