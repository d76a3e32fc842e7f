from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from a3s_code.kernel.store import BEGINNING, Entry, seal

Chain = Callable[[Sequence[bytes]], list[Entry]]


@pytest.fixture
def chain() -> Chain:
    """Seals bodies, each after the one before."""

    def sealed(bodies: Sequence[bytes]) -> list[Entry]:
        entries: list[Entry] = []
        for body in bodies:
            entries.append(seal(entries[-1].digest if entries else BEGINNING, len(entries), body))
        return entries

    return sealed
