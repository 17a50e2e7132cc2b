"""No test depends on how wide somebody's terminal is: whoever needs a width says so."""

import os

os.environ.pop("COLUMNS", None)
