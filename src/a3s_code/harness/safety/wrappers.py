"""Programs that run the command they are given: how their own options are told from that command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from a3s_code.harness.safety.command import ASSIGNMENT
from a3s_code.harness.safety.programs import FOREIGN_SHELLS, SHELLS, list_names, program
from a3s_code.harness.safety.words import Word

# What xargs and find put there is told only when they run.
HANDED_OVER = Word("{}", static=False)
_DURATION = re.compile(r"[0-9.]+[smhd]?|infinity")
_NUMBER = re.compile(r"-[0-9]+")
_PLAIN_OPTIONS = re.compile(r"[ \t]*-[^\\$#'\"]{1,200}")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What a wrapper runs: commands, and texts that a shell reads.

    Not `understood`: an option is not known, so that any of its words may be the command. `transparent`: it changes
    nothing that matters about the command. `moved`: the command runs in another folder.
    """

    commands: tuple[tuple[Word, ...], ...] = ()
    texts: tuple[Word, ...] = ()
    assigned: tuple[Word, ...] = ()
    understood: bool = True
    transparent: bool = False
    moved: bool = False


_UNKNOWN = Wrapped(understood=False)


@dataclass(frozen=True, slots=True)
class _Grammar:
    """The options of a wrapper: letters without and with a value, long names as a map to the letter they mean; in
    `optional` those whose value can only be attached.

    `before` operands stand before the command. An option in `texts` takes a text for a shell, one in `moves` another
    folder, one in `quits` makes it run nothing. `assigns`: NAME=value may stand before the command. `joined`: its
    operands together are a text for a shell.
    """

    flags: str = ""
    valued: str = ""
    long_flags: frozenset[str] = frozenset()
    long_valued: Mapping[str, str] = field(default_factory=dict[str, str])
    optional: str = ""
    before: int = 0
    texts: str = ""
    moves: str = ""
    quits: str = ""
    assigns: bool = False
    joined: bool = False
    permuted: bool = False
    transparent: bool = False
    hands_over: bool = False


def _grammar(flags: str = "", valued: str = "", longs: str = "", **more: object) -> _Grammar:
    """`longs` holds names, and `name=x` for one that means the letter x and takes a value."""
    names = [name.partition("=") for name in longs.split()]
    flagged = frozenset(name for name, equals, _ in names if not equals)
    return _Grammar(flags, valued, flagged, {name: letter for name, equals, letter in names if equals}, **more)  # type: ignore[arg-type]  # the fields of _Grammar by name


_GRAMMARS: Mapping[str, _Grammar] = {
    "timeout": _grammar(
        "fpv", "ks", "foreground preserve-status verbose kill-after=k signal=s", before=1, transparent=True
    ),
    "nohup": _grammar(transparent=True),
    "nice": _grammar("", "n", "adjustment=n", transparent=True),
    "stdbuf": _grammar("", "ioe", "input=i output=o error=e", transparent=True),
    "time": _grammar("p", "", "portability", transparent=True),
    "command": _grammar("pvV", quits="vV", transparent=True),
    "builtin": _grammar(),
    "exec": _grammar("cl", "a"),
    "env": _grammar(
        "i0v",
        "uCS",
        "ignore-environment null debug list-signal-handling unset=u chdir=C split-string=S",
        texts="S",
        moves="C",
        assigns=True,
    ),
    "sudo": _grammar(
        "AbBEHknNPS",
        "CDghpRTtru",
        "askpass background bell preserve-env set-home reset-timestamp non-interactive stdin preserve-groups"
        " chdir=D chroot=R group=g host=h prompt=p command-timeout=T user=u role=r type=t close-from=C",
        moves="DR",
        assigns=True,
    ),
    "doas": _grammar("n", "uC"),
    "su": _grammar(
        "lmpPf",
        "csgGTw",
        "login pty preserve-environment command=c session-command=c shell=s group=g",
        texts="c",
        permuted=True,
    ),
    "ionice": _grammar("t", "cnpPu", "ignore class=c classdata=n pid=p", quits="pPu"),
    "setsid": _grammar("cfw", "", "ctty fork wait"),
    "flock": _grammar(
        "sxeunoFv",
        "wEc",
        "shared exclusive unlock nonblock nonblocking no-fork verbose command=c timeout=w",
        before=1,
        texts="c",
    ),
    "script": _grammar("aefqr", "cIOBmtTEo", "append return flush force quiet command=c", texts="c", permuted=True),
    "strace": _grammar("cCdfFiknqrtTvwxyYzZ", "abeEIopPsSuUX", "follow-forks output=o"),
    "ltrace": _grammar("cCfiSrtT", "aenopsuxl", "output=o"),
    "chroot": _grammar("", "", "skip-chdir", before=1, moves="/"),
    "unshare": _grammar(
        "imnpuUCTrcf",
        "SGRw",
        "fork mount-proc map-root-user map-current-user user net pid mount ipc uts cgroup time kill-child root=R wd=w",
        moves="Rw",
    ),
    "watch": _grammar(
        "bcdegtpwrx", "nq", "beep color differences errexit chgexit no-title precise interval=n equexit=q", joined=True
    ),
    "xargs": _grammar(
        "0oprtx",
        "adEILnPsJR",
        "null open-tty interactive no-run-if-empty verbose exit arg-file=a delimiter=d max-args=n max-procs=P"
        " max-lines=l max-chars=s process-slot-var=v replace=i eof=e",
        optional="iel",
        hands_over=True,
    ),
    "setpriv": _grammar("", "", "no-new-privs clear-groups reuid=r regid=r"),
    "taskset": _grammar("a", "", "all-tasks", before=1),
    "chrt": _grammar("abfimorRv", "TPDp", "batch fifo idle other rr", before=1, quits="p"),
    **dict.fromkeys(("fakeroot", "linux32", "linux64", "i386", "tsocks", "torsocks", "eatmydata"), _grammar()),
    "unbuffer": _grammar("p"),
    "runuser": _grammar("lmpPf", "cugGsTw", "login command=c user=u", texts="c", permuted=True),
    "pkexec": _grammar("", "u", "disable-internal-agent user=u"),
    "eval": _grammar(joined=True),
}

WRAPPERS = frozenset(_GRAMMARS) | list_names(
    """nsenter parallel busybox toybox trap numactl systemd-run start-stop-daemon firejail bwrap proot rlwrap catchsegv
    valgrind perf entr faketime proxychains setarch prlimit xvfb-run caffeinate chronic gosu su-exec runcon cgexec
    dbus-run-session ssh at batch tmux screen expect nc ncat socat crontab"""
)
_FIND_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_FD_RUNS = frozenset({"-x", "--exec", "-X", "--exec-batch"})


def unwrap(words: Sequence[Word]) -> Wrapped | None:
    """What the command `words` runs besides itself; None where it is no wrapper, or runs nothing."""
    name = program(words[0])
    if name in FOREIGN_SHELLS and len(words) > 1:
        return _UNKNOWN
    if name in SHELLS:
        return _unwrap_shell(words)
    if name == "find":
        return _unwrap_find(words)
    if name in ("fd", "fdfind"):
        return _unwrap_fd(words)
    if name not in WRAPPERS:
        return None
    if name in ("busybox", "toybox") and len(words) > 1 and words[1].fixed and not words[1].text.startswith("-"):
        return Wrapped((tuple(words[1:]),))
    if name == "trap":
        return _unwrap_trap(words)
    grammar = _GRAMMARS.get(name)
    return _UNKNOWN if grammar is None else _apply(grammar, words, name)


class _Refused(Exception):
    """An option is not known, or what stands in its place."""


def _apply(grammar: _Grammar, words: Sequence[Word], name: str) -> Wrapped | None:
    try:
        options, assigned, operands = _read(grammar, words, name)
    except _Refused:
        return _UNKNOWN
    if any(letter in grammar.quits for letter, _ in options):
        return None
    texts = [value for letter, value in options if letter in grammar.texts and value is not None]
    rest = operands[grammar.before :]
    if not _is_in_order(grammar, name, operands):
        return _UNKNOWN
    if name == "flock" and len(rest) == 2 and rest[0].text in ("-c", "--command"):
        texts, rest = [rest[1]], []
    if name in ("strace", "ltrace"):
        texts = [Word(value.text[1:]) for letter, value in options if letter == "o" and value and value.text[:1] == "|"]
    if name == "watch" and any(letter == "x" for letter, _ in options):
        return Wrapped((tuple(rest),))
    if name == "env" and texts:
        return _split_env(grammar, texts, rest, assigned)
    if grammar.joined and rest:
        rest, texts = [], [_join(rest)]
    if grammar.permuted:
        rest = _find_handed(name, rest, options)
    if grammar.hands_over:
        rest = _hand_over(rest or [Word("echo")], options)
    moved = any(letter in grammar.moves for letter, _ in options) or "/" in grammar.moves
    commands = (tuple(rest),) if rest else ()
    transparent = grammar.transparent and words[0].text == name
    return Wrapped(commands, tuple(texts), tuple(assigned), transparent=transparent, moved=moved)


def _is_in_order(grammar: _Grammar, name: str, operands: Sequence[Word]) -> bool:
    """Whether what stands before the command is what it seems."""
    before = operands[: grammar.before]
    if not all(word.fixed for word in before):
        return False
    if name == "timeout" and before and not _DURATION.fullmatch(before[0].text):
        return False
    # To env and sudo whatever holds a `=` is an assignment, be it a name in the shell or not.
    leading = takewhile(lambda word: "=" in word.text, operands if grammar.assigns else ())
    return all(ASSIGNMENT.match(word.text) for word in leading)


def _find_handed(name: str, operands: list[Word], options: Sequence[tuple[str, Word | None]]) -> list[Word]:
    """What `script` and `su` run of the words behind the file and the user that they are told."""
    if name == "runuser" and any(letter == "u" for letter, _ in options):
        return operands
    return operands[1:] if name == "script" or len(operands) < 2 else [Word("sh"), *operands[1:]]


def _split_env(
    grammar: _Grammar, texts: Sequence[Word], rest: Sequence[Word], assigned: Sequence[Word]
) -> Wrapped | None:
    """What `env -S` runs: it splits the text by rules of its own, and takes what it finds first in it for options."""
    text = _join([*texts, *rest])
    first = texts[0].text if len(texts) == 1 else ""
    if _PLAIN_OPTIONS.fullmatch(first) and texts[0].fixed:
        return _apply(grammar, [Word("env"), *map(Word, first.split()), *assigned, *rest], "env")
    if set(text.text) & set("\\$#") or text.text.lstrip().startswith("-"):
        return Wrapped((), (Word(text.text, static=False, quoted=True),), tuple(assigned), understood=False)
    return Wrapped((), (text,), tuple(assigned))


def _read(
    grammar: _Grammar, words: Sequence[Word], name: str
) -> tuple[list[tuple[str, Word | None]], list[Word], list[Word]]:
    """The options with their values, the assignments, and the operands."""
    options: list[tuple[str, Word | None]] = []
    assigned: list[Word] = []
    operands: list[Word] = []
    index = 1
    while index < len(words):
        word = words[index]
        text = word.text
        if grammar.assigns and word.static and ASSIGNMENT.match(text) and not operands:
            assigned.append(word)
        elif text == "--" and word.fixed:
            return options, assigned, [*operands, *words[index + 1 :]]
        elif (text == "-" and name in ("env", "su")) or (name == "nice" and _NUMBER.fullmatch(text)):
            pass
        elif text.startswith("-") and len(text) > 1 and (not assigned or name == "sudo"):
            index += _read_option(grammar, words, index, options)
        elif grammar.permuted and word.fixed:
            operands.append(word)
        elif grammar.permuted or not (word.fixed or word.quoted or grammar.before or grammar.joined):
            # It may stand for options, and so the words after it for the command.
            raise _Refused
        else:
            return options, assigned, [*operands, *words[index:]]
        index += 1
    return options, assigned, operands


def _read_option(grammar: _Grammar, words: Sequence[Word], index: int, options: list[tuple[str, Word | None]]) -> int:
    """Note the option at `index`, and give how many more words it takes."""
    word = words[index]
    if not word.fixed:
        raise _Refused
    if word.text.startswith("--"):
        name, equals, value = word.text[2:].partition("=")
        if name in grammar.long_valued:
            letter = grammar.long_valued[name]
            if letter in grammar.optional:
                options.append((letter, Word(value) if equals else None))
                return 0
            options.append((letter, Word(value) if equals else _value(words, index)))
            return 0 if equals else 1
        if name in grammar.long_flags:
            options.append((name, None))
            return 0
        raise _Refused
    for at, letter in enumerate(word.text[1:], 1):
        if letter in grammar.valued:
            attached = word.text[at + 1 :]
            options.append((letter, Word(attached, quoted=word.quoted) if attached else _value(words, index)))
            return 0 if attached else 1
        if letter in grammar.optional:
            options.append((letter, Word(word.text[at + 1 :]) if word.text[at + 1 :] else None))
            return 0
        if letter not in grammar.flags:
            raise _Refused
        options.append((letter, None))
    return 0


def _value(words: Sequence[Word], index: int) -> Word:
    if index + 1 >= len(words) or not words[index + 1].fixed:
        raise _Refused
    return words[index + 1]


def _join(words: Sequence[Word]) -> Word:
    return Word(" ".join(word.text for word in words), all(word.fixed for word in words), quoted=True)


def _hand_over(words: Sequence[Word], options: Sequence[tuple[str, Word | None]]) -> list[Word]:
    marks = [value.text if value else "{}" for letter, value in options if letter in ("I", "J", "i")]
    if not marks:
        return [*words, HANDED_OVER]
    return [_open(word, marks[-1]) for word in words]


def _open(word: Word, mark: str) -> Word:
    """The word, computed where `mark` stands in it."""
    if not mark or mark not in word.text:
        return word
    return HANDED_OVER if word.text == mark else Word(word.text, static=False, quoted=word.quoted)


def find_script(words: Sequence[Word]) -> Sequence[Word]:
    """The file that a shell is told to run, with its arguments; empty where it is told none."""
    index, reads_text = _skip_shell_options(words)
    return () if reads_text else words[index:]


def _unwrap_shell(words: Sequence[Word]) -> Wrapped | None:
    index, reads_text = _skip_shell_options(words)
    if not reads_text:
        return None
    if index >= len(words):
        return _UNKNOWN
    return Wrapped((), (words[index],), understood=all(word.fixed for word in words[: index + 1]))


def _skip_shell_options(words: Sequence[Word]) -> tuple[int, bool]:
    """Where the operands of a shell begin, and whether the first of them is a text to run."""
    index = 1
    reads_text = False
    while index < len(words) and words[index].text[:1] in ("-", "+") and words[index].text not in ("-", "--"):
        text = words[index].text
        if text.startswith("--"):
            index += 1 + (text in ("--rcfile", "--init-file"))
            continue
        reads_text |= "c" in text
        index += 1 + text.count("o") + text.count("O")
    if index < len(words) and words[index].text in ("-", "--"):
        index += 1
    return index, reads_text


def _unwrap_trap(words: Sequence[Word]) -> Wrapped | None:
    rest = [word for word in words[1:] if word.text != "--"]
    if len(rest) < 2 or rest[0].text in ("", "-"):
        return None
    return Wrapped((), (rest[0],), understood=rest[0].fixed)


def _unwrap_find(words: Sequence[Word]) -> Wrapped | None:
    commands: list[tuple[Word, ...]] = []
    understood = True
    index = 1
    while index < len(words):
        if words[index].text in _FIND_RUNS:
            end = next((at for at in range(index + 1, len(words)) if _ends_find(words, at)), None)
            understood &= end is not None and end > index + 1
            inner = words[index + 1 : end]
            if inner:
                commands.append(tuple(_open(word, "{}") for word in inner))
            index = len(words) if end is None else end
        index += 1
    return Wrapped(tuple(commands), understood=understood) if commands or not understood else None


def _ends_find(words: Sequence[Word], at: int) -> bool:
    return words[at].text == ";" or (words[at].text == "+" and words[at - 1].text == "{}")


def _unwrap_fd(words: Sequence[Word]) -> Wrapped | None:
    at = next((index for index, word in enumerate(words) if word.text in _FD_RUNS), None)
    if at is None:
        return _UNKNOWN if any(re.match(r"-[A-Za-z]*[xX]|--exec", word.text) for word in words) else None
    inner = [_open(word, "{") for word in words[at + 1 :] if word.text != ";"]
    return Wrapped(((*inner, HANDED_OVER),)) if inner else _UNKNOWN
