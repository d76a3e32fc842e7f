"""The language of search expressions: that of ripgrep, and what looks around, which only the search in Python does.

An expression is read into nodes, so that each engine can be given the same meaning in its own spelling. What would mean
different things to them is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn

from a3s_code.system.charsets import (
    NEWLINE,
    UNICODE,
    Bracket,
    CharSet,
    Combined,
    Named,
    Span,
    category,
    is_posix,
    members,
)
from a3s_code.system.expressions import (
    Again,
    Around,
    Border,
    Char,
    Choice,
    Edge,
    Group,
    Node,
    OneOf,
    Pattern,
    Repeat,
    Sequence,
)
from a3s_code.system.matches import SearchError

MAX_DEPTH = 50
MAX_COUNT = 100_000


def parse(text: str, *, ignore_case: bool = False) -> Pattern:
    """Read an expression; raises SearchError."""
    parser = _Parser(text, _Flags(fold=ignore_case))
    node = parser.choice(0)
    if parser.position < len(text):
        parser.fail("a ) without its (")
    for number in parser.repeated:
        if number > parser.groups:
            parser.fail(f"there is no group {number}")
    return Pattern(node, parser.beyond)


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    spaced: bool = False


_COUNT = re.compile(r"\{\s*(\d*)\s*(,?)\s*(\d*)\s*\}")
_GROUP_NAME = re.compile(r"([A-Za-z_][\w.\[\]]*)>")
_FLAGS = re.compile(r"([imsux]*)(?:-([imsx]+))?([:)])")
_HEX = re.compile(r"\{([0-9A-Fa-f]{1,8})\}")
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CONTROLS = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_EDGES: dict[str, Border] = {"b": "b", "B": "B", "<": "<", ">": ">", "A": "^", "z": "$", "Z": "$"}
_WORD_EDGES: dict[str, Border] = {"{start}": "<", "{end}": ">"}
_HINTS = {
    "h": "[ \\t] is a blank or a tab",
    "R": "each line is searched by itself",
    "K": "all of the line is shown",
    "Q": "escape each sign by itself",
    "E": "escape each sign by itself",
    "G": "^ is the start of a line",
    "X": "use the characters themselves",
}


@dataclass(slots=True)
class _Parser:
    text: str
    flags: _Flags
    position: int = 0
    groups: int = 0
    names: dict[str, int] = field(default_factory=dict[str, int])
    repeated: list[int] = field(default_factory=list[int])
    beyond: bool = False

    def fail(self, reason: str) -> NoReturn:
        raise SearchError(f"the expression is not valid: {reason}")

    def peek(self, size: int = 1) -> str:
        return self.text[self.position : self.position + size]

    def take(self, wanted: str) -> bool:
        if not self.text.startswith(wanted, self.position):
            return False
        self.position += len(wanted)
        return True

    def grip(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def skip(self) -> None:
        """In spaced mode, go on to what counts."""
        while self.flags.spaced and self.peek():
            if self.peek().isspace():
                self.position += 1
            elif self.peek() == "#":
                end = self.text.find("\n", self.position)
                self.position = len(self.text) if end < 0 else end + 1
            else:
                return

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} groups in one another")
        before = self.flags
        branches = [self.sequence(depth)]
        while self.take("|"):
            branches.append(self.sequence(depth))
        self.flags = before
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while True:
            self.skip()
            if self.peek() in ("", "|", ")"):
                return items[0] if len(items) == 1 else Sequence(tuple(items))
            item = self.atom(depth)
            if item is not None:
                items.append(self.repeats(item))

    def repeats(self, item: Node) -> Node:
        size = 0
        while (count := self.count()) is not None:
            size += 1
            if size > MAX_DEPTH:
                self.fail("too many repetitions of one thing")
            self.skip()
            item = Repeat(item, *count, lazy=self.take("?"))
        return item

    def count(self) -> tuple[int, int | None] | None:
        """`*`, `+`, `?`, `{2}`, `{2,}`, `{2,5}` or `{,5}`; None where a brace is a brace."""
        self.skip()
        if (sign := self.peek()) in _SIGNS:
            self.position += 1
            return _SIGNS[sign]
        found = _COUNT.match(self.text, self.position)
        if found is None or not (found[1] or found[3]):
            return None
        self.position = found.end()
        if max(len(found[1]), len(found[3])) > len(str(MAX_COUNT)) or int(found[3] or found[1]) > MAX_COUNT:
            self.fail(f"a count above {MAX_COUNT}")
        low = int(found[1] or 0)
        high = low if not found[2] else int(found[3]) if found[3] else None
        if high is not None and high < low:
            self.fail(f"the count {found[0]} runs backwards")
        return low, high

    def atom(self, depth: int) -> Node | None:
        char = self.peek()
        self.position += 1
        match char:
            case "(":
                return self.group(depth + 1)
            case "[":
                return self.any(self.bracket(0))
            case "\\":
                return self.escape()
            case ".":
                return OneOf(None)
            case "^" | "$":
                return Edge("^" if char == "^" else "$")
        if char in "*+?":
            self.fail(f"nothing before {char}; \\{char} is the sign itself")
        return self.char(char)

    def char(self, char: str) -> Node:
        if char == "\n":
            self.fail("it cannot match a line end; each line is searched by itself")
        if "\ud800" <= char <= "\udfff":
            self.fail("half a character")
        return Char(char, self.flags.fold)

    def any(self, found: CharSet) -> Node:
        if isinstance(found, Bracket) and not members(found, UNICODE) & ~NEWLINE:
            self.fail("a set without a character; a line end cannot be matched")
        return OneOf(found)

    def group(self, depth: int) -> Node | None:
        if not self.take("?"):
            self.groups += 1
            return self.closed(Group(Sequence(()), self.groups), depth)
        for sign in ("<=", "<!", "=", "!", ">"):
            if self.take(sign):
                self.beyond = True
                found = self.closed(Group(Sequence(())), depth)
                return Around(found.item, sign)
        if self.take("P="):
            return self.again(self.grip(re.compile(r"([A-Za-z_]\w*)\)")))
        if self.take("P<") or self.take("<"):
            return self.named(depth)
        flags = self.grip(_FLAGS)
        if flags is None:
            self.fail(f"the group (?{self.peek(2)}... is not known")
        changed = self.changed(flags[1], flags[2] or "")
        if flags[3] == ")":
            self.flags = changed
            return None
        before, self.flags = self.flags, changed
        found = self.closed(Group(Sequence(())), depth)
        self.flags = before
        return found

    def changed(self, on: str, off: str) -> _Flags:
        flags = self.flags
        for letters, value in ((on, True), (off, False)):
            flags = replace(flags, fold=value) if "i" in letters else flags
            flags = replace(flags, spaced=value) if "x" in letters else flags
        return flags

    def closed(self, group: Group, depth: int) -> Group:
        item = self.choice(depth)
        if not self.take(")"):
            self.fail("a ( without its )")
        return Group(item, group.number)

    def named(self, depth: int) -> Node:
        name = self.grip(_GROUP_NAME)
        if name is None:
            self.fail("a group's name is made of letters, digits and _")
        if name[1] in self.names:
            self.fail(f"two groups are named {name[1]}")
        self.groups += 1
        self.names[name[1]] = self.groups
        return self.closed(Group(Sequence(()), self.groups), depth)

    def again(self, name: re.Match[str] | None) -> Node:
        if name is None or name[1] not in self.names:
            self.fail(f"there is no group {name[1] if name else 'of that name'}")
        return self.again_number(self.names[name[1]])

    def again_number(self, number: int) -> Node:
        self.beyond = True
        self.repeated.append(number)
        return Again(number, self.flags.fold)

    def escape(self) -> Node:
        char = self.peek()
        if not char:
            self.fail("a \\ at its end")
        if char in _EDGES:
            self.position += 1
            return Edge(self.word_edge() if char == "b" else _EDGES[char])
        if char in "123456789":
            self.position += 1
            return self.again_number(int(char))
        if char == "k" and self.peek(2) in ("k<", "k{", "k'"):
            self.position += 2
            return self.again(self.grip(re.compile(r"([A-Za-z_]\w*)[>}']")))
        found = self.escaped()
        return self.char(found) if isinstance(found, str) else self.any(found)

    def word_edge(self) -> Border:
        for written, edge in _WORD_EDGES.items():
            if self.take(written):
                return edge
        return "b"

    def escaped(self) -> str | CharSet:
        """What follows a backslash, in brackets or not."""
        char = self.peek()
        self.position += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char and char in "dDsSwW":
            return Named("perl", char.lower(), negated=char.isupper())
        if char and char in "xuU":
            return self.by_number({"x": 2, "u": 4, "U": 8}[char])
        if char and char in "pP":
            return self.property(negated=char == "P")
        if not char or (char.isascii() and char.isalnum()):
            hint = _HINTS.get(char, "")
            self.fail(f"\\{char} is not known" + (f"; {hint}" if hint else ""))
        return char

    def by_number(self, digits: int) -> str:
        found = self.grip(_HEX) or self.grip(re.compile(f"([0-9A-Fa-f]{{{digits}}})"))
        number = int(found[1], 16) if found else UNICODE
        if number >= UNICODE or 0xD800 <= number < 0xE000:
            self.fail("a \\x, \\u or \\U without the number of a character")
        return chr(number)

    def property(self, *, negated: bool) -> CharSet:
        found = self.grip(re.compile(r"\{(\^?)(?:(?:gc|General_Category)\s*=\s*)?([\w\s-]+)\}|()([A-Za-z])"))
        name = found and category(found[2] or found[4])
        if found is None or name is None:
            self.fail(
                f"the set {found[0] if found else self.peek(20)} is not known: general categories are, such as"
                " \\p{L}; of a script write the characters, such as [\\u4e00-\\u9fff]"
            )
        return self.named_set("category", name, negated != bool(found[1]))

    def named_set(self, kind: Literal["posix", "category"], name: str, negated: bool) -> CharSet:
        """With case ignored, what is not in the set is what is not in it in any case."""
        if self.flags.fold:
            return Bracket((Named(kind, name),), negated, fold=True)
        return Named(kind, name, negated)

    def bracket(self, depth: int) -> Bracket:
        """What follows a `[`, up to its `]`."""
        if depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} sets in one another")
        negated = self.take("^")
        items: list[CharSet] = []
        joined: Callable[[Bracket], CharSet] | None = None
        self.blank()
        while self.take("-"):
            items.append(Span(45, 45))
        if not items and self.take("]"):
            items.append(Span(93, 93))
        while True:
            self.blank()
            if not self.peek():
                self.fail("a [ without its ]; \\[ is the sign itself")
            sign = self.peek(2)
            if self.peek() == "]" or sign in ("&&", "--", "~~"):
                side = Bracket(tuple(items), fold=self.flags.fold)
                items = [joined(side)] if joined else items
                if self.take("]"):
                    return Bracket(tuple(items), negated, self.flags.fold)
                self.position += 2
                joined = _joiner(sign, Bracket(tuple(items), fold=self.flags.fold))
                items = []
                continue
            items.append(self.member(depth))

    def blank(self) -> None:
        while self.flags.spaced and self.peek().isspace():
            self.position += 1

    def member(self, depth: int) -> CharSet:
        if self.take("[:"):
            end = self.text.find(":]", self.position)
            name = self.text[self.position : end].removeprefix("^")
            if end < 0 or not is_posix(name):
                self.fail("[: without the name of a set, such as [:alpha:]; \\[ is the sign itself")
            negated = self.take("^")
            self.position = end + 2
            return self.named_set("posix", name, negated)
        if self.take("["):
            return self.bracket(depth + 1)
        low = self.member_char()
        self.blank()
        if not isinstance(low, str):
            return low
        if self.peek() != "-" or self.peek(2) in ("--", "-]", "-"):
            return Span(ord(low), ord(low))
        self.position += 1
        self.blank()
        high = self.member_char()
        if not isinstance(high, str) or high < low:
            self.fail("a range in [] that runs backwards or has no end")
        return Span(ord(low), ord(high))

    def member_char(self) -> str | CharSet:
        char = self.peek()
        self.position += 1
        if "\ud800" <= char <= "\udfff":
            self.fail("half a character")
        return self.escaped() if char == "\\" else char


def _joiner(sign: str, left: Bracket) -> Callable[[Bracket], CharSet]:
    return lambda right: Combined(sign, left, right)
