"""The grammar of bash, asked about the skeleton of a text.

A skeleton is the text with every word replaced by a letter, so that nothing is left of it but keywords, operators and
groups: `x` stands for a simple command, `v` for a word that is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node

_MAX_LENGTH = 400_000
_LISTS = frozenset(
    [
        "program",
        "list",
        "pipeline",
        "subshell",
        "compound_statement",
        "if_statement",
        "elif_clause",
        "else_clause",
        "while_statement",
        "for_statement",
        "c_style_for_statement",
        "do_group",
        "case_statement",
        "case_item",
        "function_definition",
        "command",
        "command_name",
    ]
)
_LOOPS = frozenset({"while_statement", "do_group", "function_definition"})
_WORDS = frozenset({"word", "variable_name", "extglob_pattern"})
_HOLDERS = {"x": ("command_name",), "v": ("for_statement", "case_statement", "case_item", "function_definition")}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an `x` or a `v` stands: inside a loop or a function, behind a pipe, in how many subshells."""

    looped: bool = False
    fed: bool = False
    depth: int = 0


_TOP = Place()


@lru_cache(maxsize=1024)
def find_places(skeleton: str) -> tuple[Place, ...] | None:
    """Where each `x` and `v` of a skeleton stands, in order; None where bash would not take the skeleton."""
    if skeleton == "x":
        return (_TOP,)
    if len(skeleton) > _MAX_LENGTH:
        return None
    from tree_sitter import Parser

    root = Parser(_load_language()).parse(skeleton.encode()).root_node
    if root.has_error:
        return None
    places: list[Place] = []
    seen: list[str] = []
    stack: list[tuple[Node, str, Place]] = [(root, "", _TOP)]
    while stack:
        node, holder, place = stack.pop()
        if not node.child_count:
            text = skeleton[node.start_byte : node.end_byte]
            if node.is_named:
                if node.type not in _WORDS or holder not in _HOLDERS.get(text, ()):
                    return None
                places.append(place)
            seen.append(text)
        elif node.type not in _LISTS:
            return None
        else:
            stack.extend(reversed(_enter(node, place)))
    return tuple(places) if "".join(seen) == skeleton.replace(" ", "") else None


def _enter(node: Node, place: Place) -> list[tuple[Node, str, Place]]:
    """The children of a node, each with the kind of this node and the place it is in."""
    kind = node.type
    looped = place.looped or kind in _LOOPS
    inner = Place(looped, place.fed or kind == "function_definition", place.depth + (kind == "subshell"))
    if kind != "pipeline":
        return [(child, kind, inner) for child in node.children]
    behind = Place(looped, True, place.depth)
    return [(child, kind, behind if index else inner) for index, child in enumerate(node.children)]


@lru_cache(maxsize=1)
def _load_language() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())
