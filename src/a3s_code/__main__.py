"""`python -m a3s_code` is `a3s-code`."""

from __future__ import annotations

import sys

from a3s_code.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
