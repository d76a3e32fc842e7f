"""Programs that are given another program: as text, as a file, on their input. Why it cannot be told what they run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from a3s_code.harness.safety.awk import NAMES as AWKS
from a3s_code.harness.safety.awk import runs_others
from a3s_code.harness.safety.programs import FOREIGN_SHELLS, PYTHONS, SHELLS, STANDARD_INPUT, list_names, program
from a3s_code.harness.safety.sed import NAMES as SEDS
from a3s_code.harness.safety.sed import read_script
from a3s_code.harness.safety.words import ASSIGNMENT, Word

# Their input is a program of its own.
_SCRIPTED = list_names(
    """parallel at batch crontab tmux screen expect nc ncat socat vi vim nvim view ex ed emacs nano gdb lldb sqlite3
    psql mysql ftp sftp telnet let compgen"""
)
READS_INPUT = "a shell reads its commands from elsewhere"
_INTERPRETERS = list_names(
    """ipython perl ruby irb node nodejs deno php lua luajit tclsh wish osascript julia ghci groovy scala
    jshell erl elixir iex sbcl guile racket ocaml rscript m4"""
)
# Builtins that expand the names they are given once more.
_EXPANDERS = list_names(
    """test [ printf read unset wait declare typeset local readonly export getopts mapfile readarray"""
)
_INLINE = re.compile(
    r"-[A-Za-z]*[ceErRp].*|--?(?:eval|exec|execute|print|command|run|require|import|loader|experimental-loader)(?:=.*)?|-",
    re.DOTALL,
)
_INFORMATIVE = frozenset({"--version", "-V", "-v", "--help", "-h"})
_CODE_MODULES = list_names("timeit code pdb bdb cProfile profile trace runpy IPython asyncio idlelib pyrepl _pyrepl")
_SUDO_SHELL = re.compile(r"-[AbBEHknNPSKl]*[si].*|--(?:shell|login)")
_SUDO_VALUED = re.compile(
    r"-[AbBEHknNPSKl]*[CDghpRTtruU]|--(?:user|group|host|prompt|chdir|chroot|role|type|close-from)"
)
_SU_COMMAND = re.compile(r"-[lmpPf]*c.*|--(?:session-)?command.*", re.DOTALL)
_PYTHON_OPTION = re.compile(r"-(?P<flags>[bBdEhIOPqRsStuvVx?]*)(?P<last>[mXW]?)(?P<value>.*)", re.DOTALL)


def doubt_program(words: Sequence[Word]) -> str:
    """Why it cannot be told what a program of this kind runs; "" where it can, and for other programs."""
    name = program(words[0])
    if name in _SCRIPTED:
        return f"{name} runs what it reads"
    judge = _JUDGES.get(name)
    return "" if judge is None else judge(words)


def takes_options(name: str) -> bool:
    """Whether an option decides what a program of this kind runs."""
    return name in _JUDGES


def _doubt_shell(words: Sequence[Word]) -> str:
    if len(words) == 2 and words[1].text in ("--version", "--help"):
        return ""
    if program(words[0]) in FOREIGN_SHELLS:
        return "its language is another one than that of bash"
    index = 1
    while index < len(words):
        text = words[index].text
        if re.fullmatch(r"[-+][A-Za-z]*c[A-Za-z]*", text):
            return "" if all(word.fixed for word in words) else "a shell is given computed text"
        if re.fullmatch(r"[-+][A-Za-z]*s[A-Za-z]*", text) or text in ("-", "--rcfile", "--init-file"):
            break
        if not text.startswith(("-", "+")):
            return _doubt_file(words[index])
        index += 1 if text.startswith("--") else 1 + text.count("o") + text.count("O")
    return READS_INPUT


def _doubt_file(word: Word) -> str:
    if word.text in STANDARD_INPUT:
        return READS_INPUT
    named = word.fixed and not word.text.startswith(("/dev/", "/proc/"))
    return "" if named else "it cannot be told which file is run"


def _doubt_source(words: Sequence[Word]) -> str:
    return _doubt_file(words[1]) if len(words) > 1 else "nothing is named to be run"


def _doubt_eval(words: Sequence[Word]) -> str:
    return "" if all(word.fixed for word in words) else "computed text is run"


def _doubt_expander(words: Sequence[Word]) -> str:
    texts = [word.text for word in words]
    if texts[0] in ("test", "[", "printf") and "-v" not in texts:
        return ""
    named = (word for word in words[1:] if "=" not in word.text)
    return "" if all(word.fixed for word in named) else "a name is computed, and expanded once more"


def find_module(words: Sequence[Word]) -> int:
    """Where in the words of a Python call the module after `-m` stands; 0 where it has none."""
    return _read_python(words)[0]


def _read_python(words: Sequence[Word]) -> tuple[int, int]:
    """Where the module and where the file of a Python call stand; 0 for what it has not, or what is in doubt."""
    index = 1
    while index < len(words) and words[index].fixed and words[index].text.startswith("-"):
        found = _PYTHON_OPTION.fullmatch(words[index].text)
        if found is None or (found["value"] and not found["last"]) or words[index].text == "-":
            return 0, 0
        valued = bool(found["last"] and not found["value"])
        if valued and not (index + 1 < len(words) and words[index + 1].fixed):
            return 0, 0
        if found["last"] == "m":
            return index + valued, 0
        index += 1 + valued
    return 0, index if index < len(words) else 0


def _doubt_python(words: Sequence[Word]) -> str:
    module, file = _read_python(words)
    if module:
        name = re.sub(r"^-[A-Za-z?]*?m", "", words[module].text)
        return "a program is given as text" if name.partition(".")[0] in _CODE_MODULES else ""
    if not file and not (len(words) > 1 and _INFORMATIVE.issuperset(word.text for word in words[1:])):
        return "a program is given as text"
    return (_doubt_file(words[file]) if file else "") or _doubt_interpreter(words)


def _doubt_interpreter(words: Sequence[Word]) -> str:
    texts = [word.text for word in words[1:]]
    if texts and _INFORMATIVE.issuperset(texts):
        return ""
    operands = [word for word in words[1:] if not word.text.startswith("-")]
    if "--test" in texts and not operands:
        return ""
    if not operands or operands[0].text in ("eval", "repl") or any(_INLINE.fullmatch(text) for text in texts):
        return "a program is given as text"
    return _doubt_file(operands[0])


def _doubt_sed(words: Sequence[Word]) -> str:
    return read_script(words).problem


def _doubt_awk(words: Sequence[Word]) -> str:
    return "an awk program can run other programs" if runs_others(words) else ""


def _doubt_sudo(words: Sequence[Word]) -> str:
    """Why it starts a shell, which reads its commands."""
    skipped = False
    for word in words[1:]:
        if skipped:
            skipped = False
        elif _SUDO_SHELL.fullmatch(word.text):
            return READS_INPUT
        elif not word.text.startswith("-") and not ASSIGNMENT.match(word.text):
            break
        else:
            skipped = _SUDO_VALUED.fullmatch(word.text) is not None
    return ""


def _doubt_su(words: Sequence[Word]) -> str:
    return "" if any(_SU_COMMAND.fullmatch(word.text) for word in words[1:]) else READS_INPUT


def _doubt_ssh(words: Sequence[Word]) -> str:
    operands = 0
    skipped = False
    for word in words[1:]:
        if skipped:
            skipped = False
        elif not operands and word.text.startswith("-"):
            if re.fullmatch(r"-[A-Za-z0-9]*[NVGQO].*", word.text):
                return ""
            skipped = re.fullmatch(r"-[46AaCfgKkMnqsTtvXxYy]*[BbcDEeFIiJLlmoPpRSWw]", word.text) is not None
        else:
            operands += 1
    return READS_INPUT if operands < 2 else ""


_JUDGES: dict[str, Callable[[Sequence[Word]], str]] = {
    **dict.fromkeys(SHELLS, _doubt_shell),
    **dict.fromkeys(_INTERPRETERS, _doubt_interpreter),
    **dict.fromkeys(PYTHONS, _doubt_python),
    **dict.fromkeys((".", "source"), _doubt_source),
    **dict.fromkeys(("eval", "trap"), _doubt_eval),
    **dict.fromkeys(_EXPANDERS, _doubt_expander),
    **dict.fromkeys(SEDS, _doubt_sed),
    **dict.fromkeys(AWKS, _doubt_awk),
    "sudo": _doubt_sudo,
    "su": _doubt_su,
    "ssh": _doubt_ssh,
}
