"""Redirections and here-documents."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence

from a3s_code.harness.safety.parts import Redirection
from a3s_code.harness.safety.quoting import WordReader
from a3s_code.harness.safety.skeleton import Awaited, CommandList, Draft
from a3s_code.harness.safety.words import Fault, Notes, Word

SPACE = re.compile(r"(?:[ \t]|\\\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_REDIRECTION = re.compile(r"(&>>|&>)|([0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\})?(>>|>\||>&|<<<|<<-|<<|<>|<&|>|<)")
_COMPUTED = re.compile(r"[$`(]")
_INPUTS = frozenset({"<", "<<", "<<-", "<<<", "<>", "<&"})


class RedirectionReader(WordReader):
    """Reads redirections at `at` into the list of commands that is being read."""

    def __init__(self, text: str, depth: int, notes: Notes, parts: list[Draft], documents: list[str]) -> None:
        super().__init__(text, depth, notes)
        self.parts = parts
        self.documents = documents
        self.list = CommandList(parts, notes, Draft(len(parts)))
        self._pending = 0

    @abstractmethod
    def read_body(self, text: str) -> Word:
        """The text of a here-document in which expansions count."""

    def count_found(self) -> int:
        return len(self.parts)

    def forget_since(self, count: int) -> None:
        del self.parts[count:]

    def skip(self, expression: re.Pattern[str]) -> None:
        """Go past what matches here, if anything does."""
        found = expression.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def skip_comment(self) -> None:
        self.skip(_COMMENT)

    def skip_space(self) -> None:
        while self.at < len(self.text):
            found = SPACE.match(self.text, self.at) or _COMMENT.match(self.text, self.at)
            if found is not None:
                self.at = found.end()
            elif self.text[self.at] == "\n":
                self.at += 1
                self.read_documents()
            else:
                return

    def check_line(self, start: int) -> None:
        """Raise Fault where a line ends in what was read since `start` and a here-document is to begin there."""
        if self._pending and "\n" in self.text[start : self.at]:
            raise Fault("a here-document starts inside of a word")

    def read_redirection(self) -> bool:
        """Read a redirection; False where there is none at `at`."""
        found = _REDIRECTION.match(self.text, self.at)
        if found is None:
            return False
        operator, end = found[1] or found[3], found.end()
        if operator in (">", "<") and self.text.startswith("(", end):
            return False
        self.at = end
        self.skip(SPACE)
        start = self.at
        target = self._read_target(operator)
        draft, readers = self._find_readers(operator)
        if operator in ("<<", "<<-"):
            self._await(operator, target, self.text[start : self.at], readers)
            return True
        self.check_line(start)
        if operator == "<<<":
            self.notes.plain = False
            self._add_document(target, readers)
        draft.redirections.append(Redirection(operator, target, found[2] or ""))
        if draft is not self.list.draft:
            self.parts.append(draft)
        return True

    def _read_target(self, operator: str) -> Word:
        if operator in (">&", "<&") and self.text.startswith("-", self.at):
            # The - closes the descriptor; what follows it is a word of its own, with or without a blank.
            self.at += 1
            return Word("-")
        return self.read_word()

    def _find_readers(self, operator: str) -> tuple[Draft, Sequence[Draft]]:
        """The part that a redirection belongs to, and the parts that it holds for."""
        now = self.list
        if now.mode == "after":
            readers = self.parts[now.ended :]
            for inner in readers:
                inner.fed |= operator in _INPUTS
            return Draft(len(self.parts)), readers
        now.start()
        now.mode = "words"
        return now.draft, [now.draft]

    def _await(self, operator: str, delimiter: Word, raw: str, readers: Sequence[Draft]) -> None:
        self.notes.plain = False
        if "\n" in raw or (not delimiter.static and _COMPUTED.search(raw[1:])) or "$'" in raw or '$"' in raw:
            raise Fault("the end of a here-document is given in an unusual way")
        self.list.awaited.append(Awaited(delimiter.text, operator == "<<-", delimiter.quoted, readers))
        self._pending += 1

    def _add_document(self, document: Word, readers: Sequence[Draft]) -> None:
        self.documents.append(document.text)
        for reader in readers:
            reader.documents.append(document)

    def read_documents(self) -> None:
        """Read the here-documents that the line before has announced."""
        if not self._pending:
            return
        now = self.list
        if self._pending > len(now.awaited):
            raise Fault("a here-document starts inside of a substitution")
        awaited, now.awaited, self._pending = now.awaited, [], 0
        for document in awaited:
            body = self._read_until_line(document)
            self._add_document(Word(body, quoted=True) if document.quoted else self.read_body(body), document.readers)

    def _read_until_line(self, document: Awaited) -> str:
        lines: list[str] = []
        while self.at < len(self.text):
            line = self._read_line()
            if document.tabs:
                line = line.lstrip("\t")
            while not document.quoted and self.at < len(self.text) and (len(line) - len(line.rstrip("\\"))) % 2:
                line = f"{line}\n{self._read_line()}"
            if line.replace("\\\n", "") == document.delimiter:
                return "\n".join(lines)
            lines.append(line)
        raise Fault("a here-document has no end")

    def _read_line(self) -> str:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.at : end]
        self.at = min(end + 1, len(self.text))
        return line
