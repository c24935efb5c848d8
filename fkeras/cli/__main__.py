"""`python -m fkeras.cli` is `fkeras`."""

import sys

from fkeras.cli import main

sys.exit(main())
