"""`python -m reid_tui` is `reid-tui`."""

import sys

from reid_tui.cli import main

sys.exit(main())
