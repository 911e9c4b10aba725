"""Run the command line with `python -m laureate`."""

import sys

from laureate.cli import program

sys.exit(program())
