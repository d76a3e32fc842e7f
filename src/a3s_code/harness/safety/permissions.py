"""PermissionPolicy: the rules a host gives, checked when they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast, get_args

from a3s_code.errors import InvalidOption, InvalidRule
from a3s_code.kernel.contracts import Outcome
from a3s_code.kernel.rules import Rule, parse_rule

RuleText = str | Mapping[str, str]


@dataclass(frozen=True, slots=True, init=False)
class PermissionPolicy:
    """Which calls are allowed, asked about or denied; what no rule names gets `default_decision`.

    A rule is a text such as `read(src/**)` or `{"rule": "read(src/**)"}`. Deny goes before ask, ask before allow, allow
    before the default. Rules that deny or ask judge effects: a read rule holds for grep, ls, glob and `cat` too, a
    write rule for edit, patch and redirections. Rules that allow judge the tool: edit, write and patch each need
    their own.

    Raises InvalidRule for a rule that would match nothing, InvalidOption for lists or a default of the wrong type.
    """

    allow: tuple[str, ...]
    ask: tuple[str, ...]
    deny: tuple[str, ...]
    default_decision: Outcome

    def __init__(
        self,
        *,
        allow: Iterable[RuleText] = (),
        ask: Iterable[RuleText] = (),
        deny: Iterable[RuleText] = (),
        default_decision: Outcome = "ask",
    ) -> None:
        if default_decision not in get_args(Outcome):
            raise InvalidOption(
                f"default_decision is {default_decision!r}", field="default_decision", hint="write allow, ask or deny"
            )
        object.__setattr__(self, "allow", _read_rules(allow, "allow"))
        object.__setattr__(self, "ask", _read_rules(ask, "ask"))
        object.__setattr__(self, "deny", _read_rules(deny, "deny"))
        object.__setattr__(self, "default_decision", default_decision)

    @classmethod
    def permissive(cls) -> PermissionPolicy:
        """Everything inside the workspace is allowed, and every command."""
        return cls(default_decision="allow")

    @classmethod
    def strict(cls) -> PermissionPolicy:
        """Everything is asked about, reading too."""
        return cls(default_decision="ask")


def parse_rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """The rules behind texts that a PermissionPolicy has taken."""
    return tuple(parse_rule(text) for text in texts)


def _read_rules(given: object, field: str) -> tuple[str, ...]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidOption(
            f"{field} is {type(given).__name__}, not a list of rules",
            field=field,
            hint=f'write {field}=["read(src/**)"]',
        )
    return tuple(_read_rule(entry) for entry in cast("Iterable[object]", given))


def _read_rule(entry: object) -> str:
    if isinstance(entry, Mapping):
        fields = cast("Mapping[object, object]", entry)
        if set(fields) != {"rule"}:
            raise InvalidRule(
                "a rule given as a mapping has the one key `rule`", rule=repr(entry), hint='{"rule": "read"}'
            )
        entry = fields["rule"]
    return parse_rule(entry).text
