"""Screens to read back from."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from a3s_code.cli.screen import PlainScreen, RichScreen, Screen


class Shown:
    """A screen and what stands on it."""

    def __init__(self, screen: Screen, out: io.StringIO) -> None:
        self.screen = screen
        self._out = out

    @property
    def text(self) -> str:
        return self._out.getvalue()

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text.splitlines()]


@pytest.fixture
def plain() -> Shown:
    out = io.StringIO()
    return Shown(PlainScreen(out), out)


@pytest.fixture
def terminal() -> Callable[[int], Shown]:
    """Makes a terminal of so many columns, without colours, so that its text can be compared."""

    def make(width: int) -> Shown:
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system=None, force_interactive=False)
        return Shown(RichScreen(console), out)

    return make
