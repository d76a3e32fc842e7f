"""The collector of garbage, held off while hundreds of modules are loaded, none of which is garbage."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_holding = 0
_collecting = False


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected meanwhile; may be nested, and used by several threads at once.

    Looking through what an import has made so far, again and again, costs a tenth of its time.
    """
    global _holding, _collecting  # one process, one collector
    with _LOCK:
        if not _holding:
            _collecting = gc.isenabled()
            gc.disable()
        _holding += 1
    try:
        yield
    finally:
        with _LOCK:
            _holding -= 1
            if not _holding and _collecting:
                gc.enable()
