"""A shell text, taken apart: its simple commands, their words and redirections."""

from __future__ import annotations

from dataclasses import dataclass

from a3s_code.harness.safety.words import Word


@dataclass(frozen=True, slots=True)
class Redirection:
    """`operator` without the `descriptor` before it ("" where there is none), and the word that follows."""

    operator: str
    target: Word
    descriptor: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One simple command, and the operator `then` that follows it.

    `documents` are the texts of the here-documents and here-strings that it may read. `fed`: its input may come from
    a pipe, or from a redirection of a group around it. `looped`: it may run more than once, or at another time.
    `depth`: how many subshells and substitutions are around it.
    """

    words: tuple[Word, ...]
    assignments: tuple[Word, ...] = ()
    redirections: tuple[Redirection, ...] = ()
    then: str = ""
    documents: tuple[Word, ...] = ()
    fed: bool = False
    looped: bool = False
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A shell text, split.

    `fault` says why it is no valid command, `unclear` which construct leaves in doubt what runs, `odd` that it holds
    characters that hide text from a reader. `plain`: nothing but simple commands, timed or not, joined by
    && || | ; or newlines.
    `loops`: parts may run more than once or in another order. `documents`: the texts of here-documents and
    here-strings.
    """

    parts: tuple[Part, ...]
    fault: str = ""
    unclear: str = ""
    odd: bool = False
    plain: bool = True
    loops: bool = False
    documents: tuple[str, ...] = ()
