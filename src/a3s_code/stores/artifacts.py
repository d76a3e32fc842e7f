"""Artifacts in memory: whole outputs under content addresses, oldest dropped first."""

from __future__ import annotations

import hashlib
import threading

from a3s_code.kernel.messages import ArtifactRef


class MemoryArtifactStore:
    """Keeps at most `max_items` outputs and `max_bytes` bytes of them; the newest is always kept. Thread-safe."""

    def __init__(self, max_items: int = 256, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._contents: dict[str, bytes] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, tool: str, content: str, shown_bytes: int) -> ArtifactRef:
        data = content.encode("utf-8", "replace")
        uri = f"a3s://tool-output/{tool}/{hashlib.sha256(data).hexdigest()}"
        with self._lock:
            self._bytes += len(data) - len(self._contents.pop(uri, b""))
            self._contents[uri] = data
            while len(self._contents) > 1 and (len(self._contents) > self._max_items or self._bytes > self._max_bytes):
                self._bytes -= len(self._contents.pop(next(iter(self._contents))))
        return ArtifactRef(uri, len(data), shown_bytes)

    def get(self, uri: str) -> str | None:
        data = self._contents.get(uri)
        return None if data is None else data.decode("utf-8")
