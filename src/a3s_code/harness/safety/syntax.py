"""Shell text, read into simple commands.

Words are read here by bash's rules; what stands between them is judged by the grammar, as a skeleton. Commands are
found wherever bash could start one, so a text that is no valid command still shows what it holds.
"""

from __future__ import annotations

import re
from functools import lru_cache

from a3s_code.harness.safety.compounds import RESERVED, CompoundReader
from a3s_code.harness.safety.redirections import SPACE
from a3s_code.harness.safety.skeleton import PIPES, CommandList, Draft
from a3s_code.harness.safety.words import ASSIGNMENT, Fault, Word

# An argument that is what it looks like.
_SIMPLE = re.compile(r"[A-Za-z0-9_./:,%@=^+-]+(?=[ \t\n;&|)]|\Z)")
_OPERATOR = re.compile(r";;&|;;|;&|&&|\|\||\|&|[;&|]")
_RESERVED_START = frozenset("itefdcwsu{}![")
_INDEXED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")

_make_word = lru_cache(maxsize=4096)(Word)


class CommandReader(CompoundReader):
    """Reads a whole text; `parts` holds what was found even where a Fault is raised."""

    def read_all(self) -> None:
        """Read the text to its end; raises Fault where bash would not take it."""
        self._read_list(nested=False)

    def read_nested(self, *, fed: bool = False) -> None:
        first = len(self.parts)
        with self.deeper():
            outer, self.list = self.list, CommandList(self.parts, self.notes, Draft(first))
            try:
                self._read_list(nested=True)
            finally:
                self.list = outer
        self._sink(first, fed)

    def read_apart(self, text: str) -> None:
        first = len(self.parts)
        with self.deeper():
            CommandReader(text, self.depth, self.notes, self.parts, self.documents).read_all()
        self._sink(first, fed=False)

    def read_body(self, text: str) -> Word:
        first = len(self.parts)
        with self.deeper():
            word = CommandReader(text, self.depth, self.notes, self.parts, self.documents).read_document()
        self._sink(first, fed=True)
        return word

    def _sink(self, first: int, fed: bool) -> None:
        for draft in self.parts[first:]:
            draft.depth += 1
            draft.fed |= fed

    def _read_list(self, *, nested: bool) -> None:
        try:
            closed = self._read_commands(nested)
            self._end_command(")" if closed else "")
            if nested and not closed:
                raise Fault("a ) is missing")
            self.list.finish()
        except Fault:
            if not self.list.draft.empty:
                self.parts.append(self.list.draft)
            raise

    def _read_commands(self, nested: bool) -> bool:
        """Read to the end of the text, or past the parenthesis that ends a substitution: then True."""
        text, now = self.text, self.list
        while self.at < len(text):
            char = text[self.at]
            if char == " ":
                self.at += 1
            elif now.mode == "words" and now.draft.named and (found := _SIMPLE.match(text, self.at)) is not None:
                now.draft.words.append(_make_word(found[0]))
                self.at = found.end()
            elif char in "\t\\" and (found := SPACE.match(text, self.at)) is not None:
                self.at = found.end()
            elif char == "\n":
                self._end_command("\n")
                self.at += 1
                self.read_documents()
            elif char == "#":
                self.skip_comment()
            elif char == ")":
                self.at += 1
                if nested and not now.in_subshell:
                    return True
                self._end_command(")")
                now.close(")")
            elif char == "(":
                self.read_parenthesis()
            elif char in ";&|" and not text.startswith("&>", self.at):
                self._read_operator()
            elif char not in "<>&{0123456789" or not self.read_redirection():
                self._read_argument()
        return False

    def _end_command(self, then: str) -> None:
        """End the simple command or the group before `then`."""
        now = self.list
        draft = now.draft
        if not draft.empty:
            draft.then = then
            self.parts.append(draft)
            # A bare `time` is a command too.
            now.mode = "words"
        if now.mode == "words":
            now.add_command(draft.first)
        now.renew()
        if then == "\n" and now.mode != "start":
            now.separate(";")

    def _read_operator(self) -> None:
        found = _OPERATOR.match(self.text, self.at)
        assert found is not None
        operator = found[0]
        now = self.list
        self.at = found.end()
        self._end_command(operator)
        if operator in (";;&", ";;", ";&"):
            if now.group != "case":
                raise Fault(f"{operator} stands outside of case")
            now.end_inner()
            now.add(";;")
            self.read_patterns()
            return
        if now.mode == "start":
            raise Fault(f"nothing stands before {operator}")
        self.notes.plain &= operator not in ("&", "|&")
        now.joined = operator if operator in PIPES or operator in ("&&", "||") else ""
        now.separate(operator)

    def _read_argument(self) -> None:
        now = self.list
        if now.mode != "words" and self.text[self.at] in _RESERVED_START:
            found = RESERVED.match(self.text, self.at)
            if found is not None:
                self.read_reserved(found[0])
                return
        draft = now.draft
        start = self.at
        assigns = None if draft.named else ASSIGNMENT.match(self.text, start)
        word = self.read_word()
        now.start()
        self.check_line(start)
        if not draft.named:
            self._check_first(word, self.text[start : self.at], assigns)
        (draft.assignments if assigns is not None else draft.words).append(word)
        now.mode = "words"

    def _check_first(self, word: Word, raw: str, assigns: re.Match[str] | None) -> None:
        """Refuse a first word that bash might read otherwise."""
        if (_INDEXED.match(raw) and "]" not in raw) or (assigns is not None and len(assigns[0]) > len(raw)):
            raise Fault("an index is not closed")
        if self.list.mode != "words" and not word.quoted and "\\\n" in raw and RESERVED.fullmatch(word.text):
            raise Fault("a keyword is continued on another line")
