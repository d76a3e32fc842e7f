"""A git command as a text: its words, and the order that they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from a3s_code.capabilities.git.failures import GitFailure, invalid
from a3s_code.capabilities.git.verbs import SHAPES, VERBS, Option, Order, Shape, actions

SYNONYMS: Mapping[str, Mapping[str, str]] = {
    "branch": {"add": "create", "new": "create", "remove": "delete"},
    "checkout": {"new": "create"},
    "worktree": {"add": "create", "delete": "remove"},
    "stash": {"create": "push", "save": "push", "remove": "drop", "delete": "drop"},
    "remote": {},
}
_INSTEAD = {
    "switch": "checkout does it",
    "restore": "checkout with path does it",
    "rm": "remove the file, then add it",
    "mv": "move the file, then add both names",
    "blame": "log with path tells who changed a file",
}
# Words as a shell would read them. What a shell would not take literally (variables, substitutions, patterns,
# operators, comments) is no word, so that a rule and git never read one text in two ways.
_PIECE = re.compile(
    r"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\$`]|\\["\\$`])*)"|\\(?P<escaped>[^\n])|(?P<plain>[^\s'"\\$`;|&<>(){}*?\[\]~\#!]+)"""
    r"""|(?P<inner>(?<=[^\s=:])[~\#!]|\{[^{},.\s'"\\$`;|&<>()*?\[\]]*\})"""
)
_BLANK = re.compile(r"[ \t]+")
_LETTERS = re.compile(r"-[A-Za-z].+", re.DOTALL)
_COUNT = re.compile(r"-[0-9]{1,6}")


def split(text: str) -> list[str]:
    """The words of a git text, without a leading `git`; raises GitFailure for what is more than words."""
    words: list[str] = []
    position, open_word = 0, False
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is not None:
            position, open_word = blank.end(), False
            continue
        piece = _PIECE.match(text, position)
        if piece is None:
            raise invalid(
                f"{text[position]!r} is not for git: there is no shell here, and no patterns; "
                f"quote it with ' where it is part of a word"
            )
        value = next(value for value in piece.groups() if value is not None)
        if piece["double"] is not None:
            value = re.sub(r"\\([\"\\$`])", r"\1", value)
        if open_word:
            words[-1] += value
        else:
            words.append(value)
        position, open_word = piece.end(), True
    return words[1:] if words[:1] == ["git"] else words


def parse(words: list[str]) -> Order:
    """The order that a git text means; raises GitFailure where it is none of the typed verbs, or asks for more."""
    verb, rest = find_verb(words[0] if words else ""), words[1:]
    if verb in ("stash", "worktree") and rest and not rest[0].startswith("-"):
        return _read(verb, find_action(verb, rest[0]), rest[1:])
    if verb == "worktree":
        raise invalid(f"worktree takes: {', '.join(actions(verb))}")
    if verb == "stash":
        return _read(verb, "push", rest)
    if verb == "branch":
        return _read(verb, _branch_action(rest), rest)
    if verb == "checkout":
        return _read(verb, _checkout_action(rest), rest)
    return _read(verb, "list" if verb == "remote" else "", rest)


def find_verb(word: str) -> str:
    """The verb itself, if it is one; raises GitFailure that lists them."""
    if word in VERBS:
        return word
    instead = f" ({_INSTEAD[word]})" if word in _INSTEAD else ""
    text = f"git {word[:40]} is not a verb of this tool{instead}; it has {', '.join(VERBS)}"
    raise GitFailure(text, "unknown_verb", "unsupported")


def find_action(verb: str, word: str) -> str:
    """The action a subcommand means; raises GitFailure that lists them."""
    action = SYNONYMS.get(verb, {}).get(word, word)
    if (verb, action) in SHAPES and action:
        return action
    known = actions(verb)
    takes = f"it has {', '.join(known)}" if known else "it has no subcommands"
    raise GitFailure(f"{verb}: there is no {word[:40]!r} here; {takes}", "unknown_verb", "unsupported")


def _branch_action(rest: list[str]) -> str:
    if any(word in ("-d", "-D", "--delete") for word in rest):
        return "delete"
    return "list" if all(word.startswith("-") for word in rest) else "create"


def _checkout_action(rest: list[str]) -> str:
    before = rest[: rest.index("--")] if "--" in rest else rest
    if "-b" in before:
        return "create"
    return "restore" if "--" in rest and rest[-1] != "--" else "switch"


def _read(verb: str, action: str, rest: list[str]) -> Order:
    shape = SHAPES[verb, action]
    fields: dict[str, Any] = {}
    operands: list[str] = []
    paths: list[str] = []
    pending = _expand(shape, rest)[::-1]
    while pending:
        word = pending.pop()
        if word == "--":
            paths = pending[::-1]
            break
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        name, equals, value = word.partition("=")
        option = _find_option(shape, word) or (_find_option(shape, name) if equals else None)
        if option is None or (equals and not option.valued and _find_option(shape, word) is None):
            raise _refuse(verb, action, shape, word)
        if option.valued and not equals:
            if not pending:
                raise invalid(f"{verb}: {word} needs a value")
            value = pending.pop()
        _put(fields, verb, option, value)
    return _place(Order(verb, action, fields), operands, paths)


def _expand(shape: Shape, rest: list[str]) -> list[str]:
    """The words with joined letters taken apart: `-am x` as `-a -m x`, `-n5` and `-5` as `-n 5`."""
    words: list[str] = []
    for index, word in enumerate(rest):
        if word == "--":
            return words + rest[index:]
        if _COUNT.fullmatch(word) and _find_option(shape, "-n"):
            words += ["-n", word[1:]]
        elif _LETTERS.fullmatch(word) and not _find_option(shape, word):
            words += _take_apart(shape, word)
        else:
            words.append(word)
    return words


def _take_apart(shape: Shape, word: str) -> list[str]:
    taken: list[str] = []
    for index, letter in enumerate(word[1:], 1):
        option = _find_option(shape, f"-{letter}")
        if option is None:
            return [word]
        taken.append(f"-{letter}")
        if option.valued:
            return taken + ([word[index + 1 :]] if word[index + 1 :] else [])
    return taken


def _find_option(shape: Shape, word: str) -> Option | None:
    return next((option for option in shape.options if word in option.spellings), None)


def _put(fields: dict[str, Any], verb: str, option: Option, value: str) -> None:
    name = option.field
    if not name:
        return
    if not option.valued:
        fields[name] = True
    elif name == "message" and name in fields:
        fields[name] += f"\n\n{value}"
    elif name == "max_count":
        if not re.fullmatch(r"[0-9]{1,6}", value):
            raise invalid(f"{verb}: {option.spellings[0]} needs a number, not {value[:40]!r}")
        fields[name] = int(value)
    else:
        fields[name] = value


def _place(order: Order, operands: list[str], paths: list[str]) -> Order:
    """The order with the words that stand for themselves put where they belong."""
    shape, fields = order.shape, dict(order.fields)
    if shape.bare:
        operands, paths = [], operands + paths
    fields |= dict(zip(shape.operands, operands, strict=False))
    surplus = operands[len(shape.operands) :]
    paths = surplus + paths if order.action != "restore" else paths
    if (paths and not shape.paths) or (surplus and order.action == "restore"):
        raise _refuse(order.verb, order.action, shape, (surplus or paths)[0])
    if paths:
        fields["paths"] = tuple(paths)
    if order.verb == "stash" and str(fields.get("ref", "")).isdecimal():
        fields["ref"] = f"stash@{{{fields['ref']}}}"
    return Order(order.verb, order.action, fields)


def _refuse(verb: str, action: str, shape: Shape, word: str) -> GitFailure:
    takes = [*shape.spellings, *(f"<{name}>" for name in shape.operands), *(["-- <path>..."] if shape.paths else [])]
    title = f"{verb} {action}".strip()
    return GitFailure(
        f"{title} does not take {word[:60]!r}; it takes {' '.join(takes)}", "unknown_option", "unsupported"
    )
