"""A block or an object while it is read: typed values by name.

Names are compared in snake_case. Of a setting given in several places the last one counts, and null takes it back. What
nobody asked for is reported by `finish()`: a warning in a text, an error in an override.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar, overload

from a3s_code.config.document import Atom, Block, Call, ListValue, ObjectValue, Scalar, Value
from a3s_code.config.entries import Entry, canonical, entries_of
from a3s_code.config.reading import Placed, Reading
from a3s_code.config.secret import Secret
from a3s_code.errors import ConfigError

D = TypeVar("D")
W = TypeVar("W", bound=str)

MOST_UNKNOWN = 100
"""So many unknown settings of one section are reported one by one."""
_GREATEST = 1.7976931348623157e308
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://[^\s/?#]+[^\s]*", re.IGNORECASE)


class Credential(NamedTuple):
    """A key, and the variable and line it was to come from, if it was written as env(...)."""

    secret: Secret | None
    variable: str | None
    line: int | None


class PlacedText(NamedTuple):
    """One text of a list, with its dotted key and where it stands."""

    key: str
    text: str
    at: Placed


class Section:
    """One body, or several of one name read as one. `prefix` is its dotted key, empty at the top.

    Each verb takes the name, the default, and other names of the same setting; it raises ConfigError where the value is
    of the wrong kind or out of range.
    """

    def __init__(self, reading: Reading, prefix: str, entries: Sequence[Entry], at: Placed) -> None:
        self.reading = reading
        self.prefix = prefix
        self.at = at
        self._entries = entries
        self._known: dict[str, str] = {}

    def key(self, name: str) -> str:
        """The dotted key of the setting `name`."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def missing(self, name: str, hint: str) -> ConfigError:
        """The error for a setting that must be there; points at one that is not known and has nearly its name."""
        unknown = {entry.key: entry for entry in self._entries if entry.key not in self._known}
        for near in difflib.get_close_matches(name, unknown, n=1, cutoff=0.6):
            odd = unknown[near]
            return self.reading.error(self.key(name), "is missing", odd, f"did you mean {name} by {odd.name}?")
        return self.reading.error(self.key(name), "is missing", self.at, hint)

    def text(self, name: str, default: D, *aliases: str) -> str | D:
        entry = self.entry(name, *aliases)
        text = self._text(self.key(name), entry, entry.content) if entry else None
        return default if text is None else text

    def secret(self, name: str, *aliases: str) -> Secret | None:
        return self.credential(name, *aliases).secret

    def credential(self, name: str, *aliases: str) -> Credential:
        """A secret and where it was to come from; empty text is no secret."""
        entry = self.entry(name, *aliases)
        if entry is None:
            return Credential(None, None, None)
        variable, line = None, entry.line or None
        if isinstance(entry.content, Call):
            result = self.reading.call(self.key(name), entry.content)
            text, variable = result.text, result.variable
        else:
            text = self._text(self.key(name), entry, entry.content)
        if text == "":
            self.reading.warn(self.key(name), "is empty, which counts as none", entry.content)
        return Credential(self.reading.secret(text) if text else None, variable, line)

    def flag(self, name: str, default: D, *aliases: str) -> bool | D:
        entry = self.entry(name, *aliases)
        value = self._atom(self.key(name), entry, entry.content, "true or false", "true") if entry else None
        if value is None or isinstance(value, bool):
            return default if value is None else value
        assert entry is not None
        raise self._mismatch(self.key(name), entry, entry.content, "true or false", "true")

    def number(
        self, name: str, default: D, *aliases: str, least: float = 0.0, most: float = math.inf, clamp: bool = False
    ) -> float | D:
        """A number from `least` to `most`; with `clamp` one outside is moved to the nearer end, with a warning."""
        entry = self.entry(name, *aliases)
        value = self._numeric(name, entry, "a number") if entry else None
        if entry is None or value is None:
            return default
        if least <= value <= most:
            return float(value)
        bounds = f"{least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        if not clamp:
            raise self._out_of_range(name, entry, f"a number, {bounds}", "1" if least <= 1 <= most else f"{least:g}")
        nearest = min(max(float(value), least), most)
        self.reading.warn(self.key(name), f"must be a number, {bounds}; {nearest:g} is used", entry.content)
        return nearest

    def integer(self, name: str, default: D, *aliases: str, least: int = 1) -> int | D:
        entry = self.entry(name, *aliases)
        value = self._numeric(name, entry, "a whole number") if entry else None
        if entry is None or value is None:
            return default
        wanted = f"a whole number, {least} or more"
        if value != int(value):
            raise self._mismatch(self.key(name), entry, entry.content, wanted, str(max(least, 10)), "a fraction")
        if value < least:
            raise self._out_of_range(name, entry, wanted, str(max(least, 10)))
        return int(value)

    def decimal(self, name: str, *aliases: str) -> Decimal | None:
        """An amount of money, 0 or more, to the digit."""
        entry = self.entry(name, *aliases)
        value = self._numeric(name, entry, "a number") if entry else None
        if entry is None or value is None:
            return None
        if value < 0:
            raise self._out_of_range(name, entry, "a number, 0 or more", "1")
        return Decimal(repr(value))

    def milliseconds(self, names: tuple[str, ...], seconds: tuple[str, ...], default: D) -> int | D:
        """A time given under one of `names` in milliseconds or under one of `seconds` in seconds."""
        given = self.integer(names[0], None, *names[1:])
        in_seconds = self.number(seconds[0], None, *seconds[1:], least=0.001)
        if given is not None:
            return given
        return default if in_seconds is None else round(in_seconds * 1000)

    @overload
    def choice(self, name: str, words: tuple[W, ...], default: W, *aliases: str) -> W: ...
    @overload
    def choice(self, name: str, words: tuple[W, ...], default: W | None, *aliases: str) -> W | None: ...

    def choice(self, name: str, words: tuple[W, ...], default: W | None, *aliases: str) -> W | None:
        """One of `words`; case, and dash against underscore, make no difference."""
        entry = self.entry(name, *aliases)
        text = self._text(self.key(name), entry, entry.content) if entry else None
        if entry is None or text is None:
            return default
        return self.word(self.key(name), text, words, entry.content)

    def word(self, key: str, text: str, words: tuple[W, ...], at: Placed) -> W:
        """The one of `words` that `text` is."""
        for word in words:
            if canonical(word) == canonical(text.strip()):
                return word
        listed = ", ".join(f'"{word}"' for word in words)
        raise self.reading.error(key, f"must be one of {listed}; found another text", at, f'write "{words[0]}"')

    def texts(self, name: str, default: tuple[str, ...], *aliases: str) -> tuple[str, ...]:
        """A list of texts, or one text alone."""
        if self.entry(name, *aliases) is None:
            return default
        return tuple(found.text for found in self.placed_texts(name, *aliases))

    def placed_texts(self, name: str, *aliases: str, member: str | None = None) -> list[PlacedText]:
        """The same with their places; each may be an object that holds its text as the one `member`."""
        entry = self.entry(name, *aliases)
        if entry is None:
            return []
        key, items = self.key(name), {self.key(name): entry.content}
        if isinstance(entry.content, ListValue):
            items = {f"{key}[{at}]": item for at, item in enumerate(entry.content.items)}
        found: list[PlacedText] = []
        for item_key, item in items.items():
            content = _only_member(item, member)
            text = self._text(item_key, entry, content, example='["...", "..."]')
            if text is not None:
                found.append(PlacedText(item_key, text, content))
        return found

    def path(self, name: str, *aliases: str) -> Path | None:
        entry = self.entry(name, *aliases)
        text = self._text(self.key(name), entry, entry.content) if entry else None
        return self.reading.resolve(self.key(name), text, entry.content) if entry and text is not None else None

    def paths(self, name: str, *aliases: str) -> tuple[Path, ...]:
        """A list of paths, or one path alone."""
        texts, entry = self.texts(name, (), *aliases), self.entry(name, *aliases)
        return tuple(self.reading.resolve(self.key(name), text, entry.content) for text in texts) if entry else ()

    def url(self, name: str, schemes: tuple[str, ...], *aliases: str) -> str | None:
        entry = self.entry(name, *aliases)
        text = self._text(self.key(name), entry, entry.content) if entry else None
        if entry is None or text is None:
            return None
        match = _URL.fullmatch(text)
        if match and match[1].lower() in schemes:
            return text
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        message = f"must be a URL that begins with {wanted}; found another text"
        hint = f'write {entry.name} = "{schemes[-1]}://..."'
        raise self.reading.error(self.key(name), message, entry.content, hint)

    def secrets(self, name: str, *aliases: str) -> Mapping[str, Secret]:
        """Texts by free names, such as HTTP headers: names are kept as they are written."""
        found: dict[str, Secret] = {}
        for entry in self.entries(name, aliases):
            seen: set[str] = set()
            for member in self.body(self.key(name), entry):
                key = f"{self.key(name)}.{member.name}"
                text = self._text(key, member, member.content)
                if member.name in seen:
                    self.reading.warn(
                        key, "is given twice; the last one counts", member, "remove one of them", "repeated"
                    )
                seen.add(member.name)
                found.pop(member.name, None)
                if text is not None:
                    found[member.name] = self.reading.secret(text)
        return MappingProxyType(found)

    def section(self, name: str, *aliases: str) -> Section | None:
        """The block or object of that name; several are read as one."""
        entries = self.entries(name, aliases)
        if not entries:
            return None
        key = self.key(name)
        merged = [member for entry in entries for member in self.body(key, entry)]
        return Section(self.reading, key, merged, entries[-1])

    def retired(self, name: str, message: str) -> None:
        """Warns that the setting `name`, where it is given, has no meaning here."""
        entry = self.entry(name)
        if entry is not None:
            self.reading.warn(self.key(name), message, entry)

    def finish(self, instead: Mapping[str, str] = MappingProxyType({})) -> None:
        """Reports every entry that was never asked for, with the nearest name that would have been.

        `instead` are hints by name, for names that people write and that are near to nothing.
        """
        unknown = [entry for entry in self._entries if entry.key not in self._known]
        for entry in unknown[:MOST_UNKNOWN]:
            near = difflib.get_close_matches(entry.key, self._known, n=1, cutoff=0.6)
            hint = instead.get(entry.key) or (f"did you mean {self._known[near[0]]}?" if near else None)
            key = self.key(entry.name)
            if entry.is_override:
                raise self.reading.error(key, "is not a known setting", entry, hint)
            self.reading.warn(key, "is not a known setting and is ignored", entry, hint, "unknown")
        if len(unknown) > MOST_UNKNOWN:
            more = f"is one of {len(unknown) - MOST_UNKNOWN} more unknown settings, which are ignored"
            self.reading.warn(self.key(unknown[-1].name), more, unknown[-1], kind="unknown")

    def given(self, name: str) -> Entry | None:
        """The entry of a setting that was read before, under whichever of its names; None where it is null."""
        found = [entry for entry in self._entries if self._known.get(entry.key) == name]
        return None if not found or found[-1].is_null else found[-1]

    def entry(self, name: str, *aliases: str) -> Entry | None:
        """The entry that counts; None where there is none, or null."""
        given = self._given(name, aliases)
        return None if not given or given[-1].is_null else given[-1]

    def entries(self, name: str, aliases: tuple[str, ...] = ()) -> list[Entry]:
        """Every entry of that name that counts: all blocks and the last attribute, nothing from before a null.

        An override that is an object is added to them; any other takes their place.
        """
        given = self._given(name, aliases)
        written = [entry for entry in given if not isinstance(entry.content, Block) and not entry.is_override]
        superseded = {id(entry) for entry in written[:-1]}
        kept: list[Entry] = []
        for entry in given:
            if entry.is_null or (entry.is_override and not isinstance(entry.content, ObjectValue)):
                kept.clear()
            if not entry.is_null and id(entry) not in superseded:
                kept.append(entry)
        return kept

    def body(self, key: str, entry: Entry) -> list[Entry]:
        """The entries inside the block or object `entry`, which must have no label."""
        content = entry.content
        if isinstance(content, ObjectValue):
            return entries_of(content.members)
        if not isinstance(content, Block):
            raise self._mismatch(key, entry, content, "a block", example=None)
        if content.labels:
            raise self.reading.error(key, "takes no label", entry, f"write {entry.name} {{ ... }}")
        return entries_of(content.items)

    def _given(self, name: str, aliases: tuple[str, ...]) -> list[Entry]:
        """Every entry under one of the names, which are known from now on; says so where one place holds several."""
        is_first = name not in self._known
        names = {name, *aliases}
        self._known.update(dict.fromkeys(names, name))
        given = [entry for entry in self._entries if entry.key in names]
        if is_first and given:
            self.reading.note(self.key(name), given[-1])
            self._warn_of_repetition(name, [entry for entry in given if not isinstance(entry.content, Block)])
        return given

    def _warn_of_repetition(self, name: str, given: list[Entry]) -> None:
        for earlier, later in pairwise(given):
            if earlier.group is later.group:
                how = "twice" if earlier.name == later.name else f"as {earlier.name} and as {later.name}"
                message = f"is given {how}; the last one counts"
                self.reading.warn(self.key(name), message, later, "remove one of them", "repeated")

    def _atom(self, key: str, entry: Entry, content: Value | Block, wanted: str, example: str) -> Atom:
        """The text, number or truth value of `content`; None for null, and for a variable that is not set."""
        if isinstance(content, Call):
            return self.reading.call(key, content).text
        if isinstance(content, Scalar):
            return content.value
        raise self._mismatch(key, entry, content, wanted, example)

    def _text(
        self, key: str, entry: Entry, content: Value | Block, example: str = '"..." or env("NAME")'
    ) -> str | None:
        value = self._atom(key, entry, content, "text", example)
        if value is None or isinstance(value, str):
            return value
        raise self._mismatch(key, entry, content, "text", example)

    def _numeric(self, name: str, entry: Entry, wanted: str) -> int | float | None:
        value = self._atom(self.key(name), entry, entry.content, wanted, "10")
        if value is None:
            return None
        if isinstance(value, bool | str):
            raise self._mismatch(self.key(name), entry, entry.content, wanted, "10")
        if not abs(value) <= _GREATEST:
            raise self._mismatch(self.key(name), entry, entry.content, wanted, "10", "one beyond all bounds")
        return value

    def _mismatch(
        self, key: str, entry: Entry, content: Value | Block, wanted: str, example: str | None, found: str | None = None
    ) -> ConfigError:
        kind = found or ("text from the environment" if isinstance(content, Call) else content.kind)
        body = "= {...}" if entry.is_override else "{ ... }"
        hint = f"write {entry.name} {body}" if example is None else f"write {entry.name} = {example}"
        return self.reading.error(key, f"must be {wanted}; found {kind}", content, hint)

    def _out_of_range(self, name: str, entry: Entry, wanted: str, example: str) -> ConfigError:
        return self._mismatch(self.key(name), entry, entry.content, wanted, example, "one out of range")


def _only_member(content: Value | Block, member: str | None) -> Value | Block:
    """The value of `member`, where `content` is an object that holds nothing else."""
    if member is None or not isinstance(content, ObjectValue) or len(content.members) != 1:
        return content
    return content.members[0].value if canonical(content.members[0].name) == member else content
