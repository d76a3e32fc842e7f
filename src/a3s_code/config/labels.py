"""Collections of a configuration whose members have names: providers, models, servers, checks, lanes, engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from a3s_code.config.document import Block, ListValue, ObjectValue, Scalar
from a3s_code.config.entries import Entry, entries_of
from a3s_code.config.reading import Placed
from a3s_code.config.section import Section

Unlabelled = Literal["refused", "named", "nested"]
"""What a block without a label is: an error, one member that names itself, or a block of members."""

_NAMES = ("name", "id")


class _Member(NamedTuple):
    label: str
    entries: list[Entry]
    at: Placed


def labelled(
    section: Section, name: str, *aliases: str, merge: bool = True, unlabelled: Unlabelled = "refused"
) -> dict[str, Section]:
    """The members of the collection `name`, in order.

    They may be written as blocks `name "LABEL" { }`, as a list of objects that hold their name, or as an object of
    objects. Of two with one label the later adds to the earlier where `merge` is true, else it takes its place, with a
    warning.
    """
    members: dict[str, _Member] = {}
    for entry in section.entries(name, aliases):
        for member in _members(section, name, entry, unlabelled):
            if not member.label:
                raise section.reading.error(section.key(name), "has an empty label", member.at, _hint(entry.name))
            earlier = members.get(member.label)
            if earlier is None:
                members[member.label] = member
            elif merge:
                earlier.entries.extend(member.entries)
                members[member.label] = earlier._replace(at=member.at)
            else:
                members[member.label] = member
                _warn_of_replacement(section, name, member)
    return {
        label: Section(section.reading, f"{section.key(name)}.{label}", member.entries, member.at)
        for label, member in members.items()
    }


def _members(section: Section, name: str, entry: Entry, unlabelled: Unlabelled) -> Iterator[_Member]:
    content = entry.content
    if isinstance(content, Block):
        yield from _in_block(section, name, entry, content, unlabelled)
    elif isinstance(content, ObjectValue):
        yield from _nested(section, name, entries_of(content.members))
    elif isinstance(content, ListValue):
        for index, item in enumerate(content.items):
            key = f"{section.key(name)}[{index}]"
            if not isinstance(item, ObjectValue):
                raise section.reading.error(key, f"must be an object; found {item.kind}", item, _hint(entry.name))
            yield _self_named(section, key, entries_of(item.members), item, entry)
    else:
        found = f"must be a block with a label, or a list of objects; found {content.kind}"
        raise section.reading.error(section.key(name), found, content, _hint(entry.name))


def _in_block(section: Section, name: str, entry: Entry, block: Block, unlabelled: Unlabelled) -> Iterator[_Member]:
    body = entries_of(block.items)
    if len(block.labels) == 1:
        yield _Member(block.labels[0], body, entry)
    elif block.labels:
        raise section.reading.error(section.key(name), "has more than one label", entry, _hint(entry.name))
    elif unlabelled == "nested":
        yield from _nested(section, name, body)
    elif unlabelled == "named":
        yield _self_named(section, section.key(name), body, entry, entry)
    else:
        message = "stands without its name: label required"
        raise section.reading.error(section.key(name), message, entry, _hint(entry.name))


def _nested(section: Section, name: str, entries: list[Entry]) -> Iterator[_Member]:
    """Each entry is a member; null leaves it out."""
    for entry in entries:
        if not entry.is_null:
            yield _Member(entry.name, section.body(f"{section.key(name)}.{entry.name}", entry), entry)


def _self_named(section: Section, key: str, body: list[Entry], at: Placed, entry: Entry) -> _Member:
    """A member that holds its name; where it holds both, `id` is the name of the member and `name` one to show."""
    held = {item.key: item for item in body if item.key in _NAMES}
    naming = held.get("id") or held.get("name")
    if naming is None:
        raise section.reading.error(key, "has no name: label required", at, _hint(entry.name))
    content = naming.content
    if not isinstance(content, Scalar) or not isinstance(content.value, str):
        found = f"must be text; found {content.kind}"
        raise section.reading.error(f"{key}.{naming.name}", found, content, f'write {naming.name} = "NAME"')
    return _Member(content.value, [item for item in body if item is not naming], at)


def _warn_of_replacement(section: Section, name: str, member: _Member) -> None:
    if member.at.line:
        key = f"{section.key(name)}.{member.label}"
        section.reading.warn(
            key, "is defined before; the later one counts", member.at, "rename one of them", "repeated"
        )


def _hint(name: str) -> str:
    return f'write {name} "NAME" {{ ... }}'
