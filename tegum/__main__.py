"""`python -m tegum` is `tegum`."""

import sys

from .cli import main

sys.exit(main())
