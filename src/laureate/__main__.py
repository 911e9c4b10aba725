"""`python -m laureate` is `laureate`."""

import sys

from laureate.cli import program

sys.exit(program())
