"""What programs are called, and which variables matter to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from a3s_code.harness.safety.words import Word


def list_names(text: str) -> frozenset[str]:
    """The names in a text that holds nothing else."""
    return frozenset(text.split())


FOREIGN_SHELLS = list_names("elvish nu pwsh powershell")
SHELLS = FOREIGN_SHELLS | list_names("sh bash dash zsh ksh mksh ash fish csh tcsh rbash rksh yash")
STANDARD_INPUT = frozenset({"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_FED = SHELLS | list_names("su at batch")
PYTHONS = frozenset({"python", "pypy"})
# They run a program of a project, or in a container, where the words after one of these verbs name it.
RUNNERS: Mapping[str, frozenset[str]] = {
    name: frozenset(verbs.split())
    for names, verbs in (
        ("uv", "run tool"),
        ("npm pnpm yarn bun", "exec x dlx"),
        ("poetry pipenv hatch pdm", "run"),
        ("pipx", "run"),
        ("conda mamba", "run"),
        ("bundle direnv", "exec"),
        ("docker podman", "run exec create"),
    )
    for name in names.split()
}
_RUN_ALWAYS = list_names("npx bunx uvx hyperfine nix-shell vagrant")
# They change what later commands mean, so that no rule with a wildcard allows them.
STATEFUL = list_names(
    """export declare typeset readonly local unset set shopt alias unalias enable hash bind complete source .
    umask"""
)

_VERSIONED = re.compile(r"(python|pypy|perl|ruby|lua|php|node|tclsh)[0-9.]+")
HARMLESS_VARIABLE = re.compile(r"(?:LANG|LC_[A-Z]+|TZ|TERM|NO_COLOR|CI)=")
RISKY_VARIABLE = re.compile(
    r"(?:LD_|DYLD_|GIT_|PERL|PYTHON|RUBY|NODE_|BASH|SHELL|PROMPT|PS[0-4]|IFS|ENV\b|CDPATH|LESS|MAN)"
    r"|[A-Za-z0-9_]*(?:PATH|PAGER|EDITOR|VISUAL|BROWSER|COMMAND|CMD|HOOK|PRELOAD|OPTS|OPTIONS|ASKPASS|RSH|SSH|DIFF)\+?="
)
_JOINED = str.maketrans(" \t\n", "\x1f\x1f\x1f")


def program(word: Word) -> str:
    """The name of a program, without its folder, its version and its case."""
    name = word.text.rpartition("/")[2].lower()
    versioned = _VERSIONED.fullmatch(name)
    return name if versioned is None else versioned[1]


def reads_commands(words: Sequence[Word]) -> bool:
    """Whether the command takes its input for commands of a shell, or may do so."""
    name = program(words[0])
    return name in _FED or (name in (".", "source") and len(words) > 1 and words[1].text in STANDARD_INPUT)


def spell(words: Sequence[Word]) -> str:
    """The words joined by blanks, the blanks inside of them spelled so that they cannot be taken for those between."""
    return " ".join(word.text.translate(_JOINED) for word in words)


def runs_project(words: Sequence[Word]) -> bool:
    """Whether one of the words after the first may be a program that it runs for a project."""
    name = program(words[0])
    verbs = RUNNERS.get(name)
    return name in _RUN_ALWAYS or (
        verbs is not None and any(not word.fixed or word.text in verbs for word in words[1:])
    )


def defers(word: Word) -> bool:
    """Whether the word holds a substitution inside an index, which bash runs when it looks the name up."""
    _, bracket, index = word.text.partition("[")
    return bracket != "" and ("$(" in index or "`" in index)
