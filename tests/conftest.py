"""No test depends on how wide somebody's terminal is: whoever needs a width says so. Nor on how busy the machine is."""

import os

from hypothesis import settings

os.environ.pop("COLUMNS", None)
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
