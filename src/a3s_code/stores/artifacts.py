"""Artifacts in memory: whole outputs under content addresses, oldest dropped first."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping

from a3s_code.kernel.journal import UNKEPT, Journal
from a3s_code.kernel.messages import ArtifactRef


class MemoryArtifactStore:
    """Keeps at most `max_items` outputs and `max_bytes` bytes of them; the newest is always kept. Thread-safe.

    What comes and goes is noted in the journal, so that a session that is resumed has its outputs again.
    """

    def __init__(self, journal: Journal = UNKEPT, *, max_items: int = 256, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._journal = journal
        self._contents: dict[str, bytes] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, tool: str, content: str, shown_bytes: int) -> ArtifactRef:
        data = content.encode("utf-8", "replace")
        uri = f"a3s://tool-output/{tool}/{hashlib.sha256(data).hexdigest()}"
        with self._lock:
            known = uri in self._contents
            dropped = self._keep(uri, data)
        if self._journal.kept:
            if not known:
                self._journal.note({"k": "artifact", "uri": uri, "text": data.decode()})
            for old in dropped:
                self._journal.note({"k": "dropped", "uri": old})
        return ArtifactRef(uri, len(data), shown_bytes)

    def get(self, uri: str) -> str | None:
        data = self._contents.get(uri)
        return None if data is None else data.decode("utf-8")

    def restore(self, contents: Mapping[str, str]) -> None:
        """Take outputs of an earlier process back in, oldest first; what the limits leave no room for is dropped."""
        with self._lock:
            kept = [self._keep(uri, text.encode("utf-8", "replace")) for uri, text in contents.items()]
        for old in (uri for dropped in kept for uri in dropped):
            self._journal.note({"k": "dropped", "uri": old})

    def _keep(self, uri: str, data: bytes) -> list[str]:
        """Take one in as the newest; gives what had to go for it."""
        dropped: list[str] = []
        self._bytes += len(data) - len(self._contents.pop(uri, b""))
        self._contents[uri] = data
        while len(self._contents) > 1 and (len(self._contents) > self._max_items or self._bytes > self._max_bytes):
            dropped.append(oldest := next(iter(self._contents)))
            self._bytes -= len(self._contents.pop(oldest))
        return dropped
