"""`python -m laureate` is `laureate`."""

import sys

from laureate.cli import main

sys.exit(main())
