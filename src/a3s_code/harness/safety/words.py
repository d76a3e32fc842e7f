"""The words of a shell text, and what is noticed while they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_DEPTH = 24

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]\n]{0,200}\])?\+?=")


class Fault(Exception):
    """The text is no valid command; the message says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, unquoted. Not `static`: it holds an expansion. `glob`: it holds an unquoted wildcard or brace."""

    text: str
    static: bool = True
    glob: bool = False
    quoted: bool = False

    @property
    def fixed(self) -> bool:
        """Whether the program is given this very text."""
        return self.static and not self.glob


@dataclass(slots=True)
class Pieces:
    """A word that is being read."""

    text: list[str] = field(default_factory=list[str])
    static: bool = True
    glob: bool = False
    quoted: bool = False

    def word(self) -> Word:
        return Word("".join(self.text), self.static, self.glob, self.quoted)


@dataclass(slots=True)
class Notes:
    """What is noticed while a text is read, the texts inside of it included.

    `evaluated`: the variables whose values bash reads as arithmetic, in which a value may hold a substitution.
    `tested`: there is a `[[ ]]` or a `(( ))`, a command without a part.
    """

    unclear: str = ""
    fault: str = ""
    plain: bool = True
    loops: bool = False
    tested: bool = False
    evaluated: set[str] = field(default_factory=set[str])
    assigned: set[str] = field(default_factory=set[str])
