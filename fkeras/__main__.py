"""`python -m fkeras` is `fkeras`."""

import sys

from fkeras.cli import main

sys.exit(main())
