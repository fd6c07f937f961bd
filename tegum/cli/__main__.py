"""`python -m tegum.cli`."""

import sys

from . import main

sys.exit(main())
