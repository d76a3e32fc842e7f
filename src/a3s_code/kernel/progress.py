"""Progress: what a running tool shows of its output, cleaned and told as events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from a3s_code.kernel.attribution import describe, expect
from a3s_code.kernel.events import ToolOutputDelta
from a3s_code.kernel.ports import Emit, StreamSanitizer, TextStream
from a3s_code.kernel.tool import Action


class Progress:
    """Shows the output of one call while it is `open`; may be called from any thread."""

    __slots__ = ("_action", "_emit", "_loop", "_open", "_sanitizer", "_stream", "_thread")

    def __init__(self, action: Action, sanitizer: StreamSanitizer, emit: Emit, is_open: Callable[[], bool]) -> None:
        self._action = action
        self._sanitizer = sanitizer
        self._emit = emit
        self._open = is_open
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stream: TextStream | None = None

    def __call__(self, text: str) -> None:
        if threading.get_ident() == self._thread:
            self._show(str(text))
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to show it to
                self._loop.call_soon_threadsafe(self._show, str(text))

    def _show(self, text: str) -> None:
        if not self._open():
            return
        try:
            if self._stream is None:
                self._stream = self._sanitizer.stream()
            cleaned = expect(str, self._stream.feed(text))
        except Exception as error:  # noqa: BLE001 - what cannot be cleaned is not shown
            cleaned = f"[withheld: the sanitizer failed: {describe(error)}]"
        if cleaned:
            self._emit(ToolOutputDelta(self._action.call_id, self._action.tool, cleaned))
