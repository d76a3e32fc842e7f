"""Keywords, and the compound commands that they begin."""

from __future__ import annotations

import re

from a3s_code.harness.safety.redirections import SPACE, RedirectionReader
from a3s_code.harness.safety.skeleton import CLOSERS
from a3s_code.harness.safety.words import Fault, Word

RESERVED = re.compile(
    r"(?:if|then|else|elif|fi|do|done|case|esac|while|until|for|select|function|time|coproc|\{|\}|!|\[\[)"
    r"(?=[ \t\n;&|()<>]|\Z)"
)
_ENDS = frozenset(CLOSERS.values())
_INNER = frozenset({"then", "else", "elif", "do"})
_LOOPS = frozenset({"for", "while", "until", "select"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?=[ \t\n;]|\\\n|\Z)")
_IN = re.compile(r"in(?=[ \t\n;]|\\\n)")
_ESAC = re.compile(r"esac(?=[ \t\n;&|()<>]|\Z)")
_PARENTHESES = re.compile(r"\([ \t]*\)")
_TIME_OPTION = re.compile(r"[ \t]+(-p)(?=[ \t\n;]|\Z)")
_COPROCESS_NAME = re.compile(
    r"[ \t]+(?!(?:if|while|until|for|case|select)\b)[A-Za-z_][A-Za-z0-9_]*"
    r"(?=[ \t]*\(|[ \t]+(?:\{|if|while|until|for|case|select|\[\[)[ \t\n(])"
)
_NUMBER = re.compile(r"[-+]?[0-9]+|\{[0-9]+\.\.[0-9]+(?:\.\.[0-9]+)?\}")
_COMPARISON = re.compile(r"-(?:eq|ne|lt|le|gt|ge)")


class CompoundReader(RedirectionReader):
    """Reads what keywords and parentheses begin, into the list of commands that is being read."""

    def read_reserved(self, keyword: str) -> None:
        """Read what `keyword` at `at` begins, goes on with or ends."""
        now = self.list
        end = self.at + len(keyword)
        if keyword == "time":
            now.start()
            self._read_time(end)
            return
        self.notes.plain = False
        if now.draft.timed:
            now.renew()
        self.at = end
        if keyword in _ENDS or keyword in _INNER:
            self._read_inner(keyword)
            return
        if keyword == "{" and now.mode == "after" and now.counts:
            now.reopen("{")
            now.add("{")
            return
        now.start()
        if keyword == "[[":
            self._read_test()
        elif keyword == "!":
            self._note_unclear("an extended pattern" if self.text.startswith("(", end) else "")
            now.joined = "!"
        elif keyword == "coproc":
            self.skip(_COPROCESS_NAME)
            self.notes.loops = True
            self._note_unclear("coproc")
        elif keyword == "function":
            self.skip(SPACE)
            self.read_word()
            self.skip(SPACE)
            self.skip(_PARENTHESES)
            self._define()
        else:
            self._open(keyword)

    def read_parenthesis(self) -> None:
        """Read a ( where a word could start."""
        now = self.list
        draft = now.draft
        self.notes.plain = False
        if now.mode == "words":
            found = _PARENTHESES.match(self.text, self.at)
            if found is None or len(draft.words) != draft.timed + 1 or draft.assignments or draft.redirections:
                raise Fault("a ( stands where no command starts")
            self.at = found.end()
            self._define()
            return
        now.start()
        now.renew()
        if self.text.startswith("((", self.at):
            self.at += 2
            first = len(self.parts)
            if self._compute():
                self._add_test(first)
                return
            self.at -= 2
        self.at += 1
        now.open("(")
        now.add("(")

    def read_patterns(self) -> None:
        """Read the patterns of an arm of case, or the end of all arms."""
        now = self.list
        self.skip_space()
        if (found := _ESAC.match(self.text, self.at)) is not None:
            self.at = found.end()
            now.close("esac")
            return
        if self.text.startswith("(", self.at):
            self.at += 1
        while True:
            self.skip(SPACE)
            first, start = len(self.parts), self.at
            self.read_word()
            self.check_line(start)
            now.add_word(first)
            self.skip(SPACE)
            char = self.text[self.at : self.at + 1]
            if char not in ("|", ")"):
                raise Fault("a pattern of case is not closed")
            self.at += 1
            now.add(char)
            if char == ")":
                break
        now.mode = "start"

    def _note_unclear(self, reason: str) -> None:
        self.notes.unclear = self.notes.unclear or reason

    def _read_time(self, end: int) -> None:
        draft = self.list.draft
        self.at = end
        draft.words.append(Word("time"))
        draft.timed += 1
        if (found := _TIME_OPTION.match(self.text, end)) is not None:
            draft.words.append(Word("-p"))
            draft.timed += 1
            self.at = found.end()

    def _read_inner(self, keyword: str) -> None:
        """Read a keyword that ends a list of commands inside of a group."""
        now = self.list
        now.end_inner()
        if now.mode == "after":
            now.add(";")
        if keyword in _ENDS:
            now.close(keyword)
        else:
            now.add(keyword)
            now.mode = "start"

    def _open(self, keyword: str) -> None:
        now = self.list
        now.open(keyword)
        self.notes.loops |= keyword in _LOOPS
        if keyword in ("for", "select"):
            self._read_for(keyword)
            return
        now.add(keyword)
        if keyword != "case":
            return
        first, start = len(self.parts), self.at
        self.skip(SPACE)
        self.read_word()
        self.check_line(start)
        self.skip_space()
        if _IN.match(self.text, self.at) is None:
            raise Fault("in is missing")
        self.at += 2
        now.add_word(first)
        now.add("in")
        self.read_patterns()

    def _define(self) -> None:
        """Begin the definition of a function, whose name is past."""
        now = self.list
        now.renew()
        self.notes.loops, self.notes.plain = True, False
        now.add("function")
        now.add_word(len(self.parts))
        now.mode, now.joined = "start", "a function's name"

    def _compute(self) -> bool:
        start = self.at
        known = self.read_arithmetic("))")
        self.check_line(start)
        return known

    def _read_for(self, keyword: str) -> None:
        now = self.list
        self.skip(SPACE)
        if keyword == "for" and self.text.startswith("((", self.at):
            self.at += 2
            start = self.at
            if not self._compute():
                raise Fault("a )) is missing")
            if self.text.count(";", start, self.at) < 2:
                self.notes.fault = self.notes.fault or "for (( )) takes three expressions"
            now.add("for ((;;))")
            now.mode = "after"
            return
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise Fault(f"the variable of {keyword} is missing")
        self.at = found.end()
        first = len(self.parts)
        self.skip_space()
        words: list[Word] = []
        listed = _IN.match(self.text, self.at) is not None
        if listed:
            self.at += 2
            words = self._read_listed()
        if not listed or not all(_NUMBER.fullmatch(word.text) for word in words):
            self.notes.assigned.add(found[0])
        now.add(keyword)
        now.add_word(first)
        now.add("in")
        now.add_word(first)
        now.mode, now.ended = "after", len(self.parts)

    def _read_listed(self) -> list[Word]:
        words: list[Word] = []
        while True:
            self.skip(SPACE)
            if self.at >= len(self.text) or self.text[self.at] in ";\n#":
                return words
            start = self.at
            words.append(self.read_word())
            self.check_line(start)

    def _read_test(self) -> None:
        """Read what is inside `[[ ]]`."""
        first = len(self.parts)
        tokens: list[str] = []
        while not tokens or tokens[-1] != "]]":
            start = self.at
            self.skip_space()
            self.check_line(start)
            start = self.at
            if start >= len(self.text):
                raise Fault("a ]] is missing")
            regex = tokens[-1:] == ["=~"]
            if self.text.startswith(("&&", "||"), start):
                self.at += 2
            elif not regex and self._stands_alone(start):
                self.at += 1
            else:
                self.read_word(regex=regex)
                self.check_line(start)
            tokens.append(self.text[start : self.at])
        if len(tokens) == 1:
            raise Fault("[[ ]] holds nothing")
        for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
            if _COMPARISON.fullmatch(token):
                self.evaluate(f"{before} {after}".replace('"', ""))
        if "-v" in tokens or "-R" in tokens:
            self._note_unclear("a test of a variable's name")
        self._add_test(first)

    def _stands_alone(self, at: int) -> bool:
        """Whether an operator of one letter stands at `at` inside of `[[ ]]`."""
        return self.text[at] in "()" or (self.text[at] in "<>" and self.text[at + 1 : at + 2] != "(")

    def _add_test(self, first: int) -> None:
        """Add `[[ ]]` or `(( ))`, which is no part itself."""
        now = self.list
        self.notes.tested = True
        now.add_command(first)
        now.mode, now.ended = "after", first
