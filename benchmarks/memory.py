"""The memory of this process. Imports next to nothing, since it also measures what importing costs."""

from __future__ import annotations

import os
import sys


def resident_mb() -> float:
    """Megabytes of memory in use; on systems without /proc, the most that ever was."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
