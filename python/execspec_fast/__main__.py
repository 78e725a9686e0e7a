"""`python -m execspec_fast`: the same as `execspec`."""

import sys

from .cli.main import main

sys.exit(main())
