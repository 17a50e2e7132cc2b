"""The benchmarks are run from a checkout and not installed: the checkout is where they are imported from."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
