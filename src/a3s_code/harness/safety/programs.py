"""What is known of programs: which of them run others, which read or write the files they are given.

An entry can only make a decision stricter, so a doubtful program belongs here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from a3s_code.harness.safety.words import Word


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHELLS = _names("sh bash dash zsh ksh mksh ash fish csh tcsh rbash rksh yash elvish nu pwsh")

# They run the command they are given, and change how: allowing one of them says nothing of what it runs.
WRAPPERS = _names(
    """sudo doas su runuser pkexec env ionice setsid builtin exec xargs watch flock script strace ltrace chroot unshare
    nsenter parallel busybox toybox eval trap setpriv chrt taskset numactl systemd-run start-stop-daemon fakeroot
    firejail bwrap proot unbuffer rlwrap catchsegv valgrind perf entr faketime torsocks proxychains dbus-run-session
    ssh at batch tmux screen expect nc ncat socat crontab"""
)
# They run the command they are given, and do nothing else that matters.
TRANSPARENT = frozenset({"timeout", "nohup", "nice", "stdbuf", "command", "time"})
# They run the command they are given inside a project; an allow rule may name the two together.
RUNNERS = _names(
    """uv uvx npx npm pnpm yarn bun bunx pipx poetry pipenv hatch pdm tox nox conda bundle direnv docker podman"""
)
# They change what later commands mean, so that no rule with a wildcard allows them.
STATEFUL = _names(
    """export declare typeset readonly local unset set shopt alias unalias enable hash bind complete source . umask"""
)
# Their input is a program of its own.
_SCRIPTED = _names(
    """parallel at batch crontab tmux screen expect nc ncat socat vi vim nvim view ex ed emacs nano gdb lldb sqlite3
    psql mysql ftp sftp telnet let compgen"""
)
_PYTHONS = frozenset({"python", "pypy"})
_INTERPRETERS = _names(
    """ipython perl ruby irb node nodejs deno php lua luajit tclsh wish osascript julia ghci groovy scala
    jshell erl elixir iex sbcl guile racket ocaml rscript"""
)
# Builtins that expand the names they are given once more.
_EXPANDERS = _names("""test [ printf read unset wait declare typeset local readonly export getopts mapfile readarray""")
_VERSIONED = re.compile(r"(python|pypy|perl|ruby|lua|php|node|tclsh)[0-9.]+")
_INLINE = re.compile(
    r"-[A-Za-z]*[ceErRp].*|--?(?:eval|exec|execute|print|command|run|require|import|loader|experimental-loader)(?:=.*)?|-",
    re.DOTALL,
)
_INFORMATIVE = frozenset({"--version", "-V", "-v", "--help", "-h"})
_CODE_MODULES = _names("timeit code pdb bdb cProfile profile trace runpy IPython asyncio idlelib pyrepl _pyrepl")
_PYTHON_OPTION = re.compile(r"-(?P<flags>[bBdEhIOPqRsStuvVx?]*)(?P<last>[mXW]?)(?P<value>.*)", re.DOTALL)

HARMLESS_VARIABLE = re.compile(r"(?:LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|NO_COLOR|CI)=")
_RISKY_VARIABLE = re.compile(
    r"(?:LD_|DYLD_|GIT_|PERL|PYTHON|RUBY|NODE_|BASH|SHELL|PROMPT|PS[0-4]|IFS|ENV\b|CDPATH|LESS|MAN)"
    r"|[A-Za-z0-9_]*(?:PATH|PAGER|EDITOR|VISUAL|BROWSER|COMMAND|CMD|HOOK|PRELOAD|OPTS|OPTIONS|ASKPASS|RSH|SSH|DIFF)\+?="
)

NAMES_ONLY = frozenset({"ls", "find", "tree", "stat", "file", "du", "fd", "fdfind", "readlink", "realpath"})
READERS = NAMES_ONLY | _names(
    """cat head tail less more nl tac od xxd hexdump hd strings wc sort uniq cut diff cmp comm join paste grep egrep
    fgrep rg ag ack sed gsed awk gawk mawk nawk md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum
    base64 base32 bat jq yq rev fold fmt pr expand split csplit tar bsdtar gtar zip gzip gunzip zcat bzip2 xz zstd
    cp mv ln install rsync scp dd source . view vi vim nano emacs column look tee zgrep zless iconv dos2unix shuf
    tsort"""
)
# They search the working folder when they are given none.
SEARCHERS = frozenset({"rg", "ag", "ack", "grep", "egrep", "fgrep", "zgrep"})
# The last file is written, the others are read.
COPIERS = _names("cp install ln rsync scp uniq")
WRITERS = COPIERS | _names(
    """tee mv dd rm rmdir unlink shred touch mkdir truncate chmod chown chgrp mkfifo mknod patch ed ex"""
)
MAX_WRAPPERS = 32
_JOINED = str.maketrans(" \t\n", "\x1f\x1f\x1f")
_IN_PLACE = re.compile(r"-[A-Za-z]*i.*|--in-place.*", re.DOTALL)


def _table(entries: dict[str, str]) -> dict[str, str]:
    return {name: pattern for names, pattern in entries.items() for name in names.split()}


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    # Most of the tables' patterns are never asked for, and compiling them all costs milliseconds.
    return re.compile(pattern)


# Searched in " word word ", with the blanks inside a word as \x1f: options and subcommands that run a program.
_RUNS = _table(
    {
        "git": r" -c(?! (?:color|advice|log|diff|status|column)\.(?!external)[A-Za-z.]+=[A-Za-z0-9]+ )"
        r"| --(?:conf|exe|upl|rece|open|extc|ext-|textc|templ)|(?:ext|fd)::"
        r"| config (?!(?:--(?:global|system|local|worktree) )*(?:--get(?:-all|-regexp)?|--list|-l|get|list) )"
        r"| (?:difftool|mergetool|filter-branch|hook|daemon|instaweb|send-email|credential|for-each-repo) "
        r"|^(?=.* bisect ).* run |^(?=.* submodule ).* foreach |^(?=.* rebase ).* -[A-Za-z]*[xi]"
        r"|^(?=.* grep ).* -[A-Za-z]*O|^(?=.* clone ).* -[A-Za-z]*[uc]",
        "tar bsdtar gtar": r" --(?:checkpoint-a|to-c|use-c|rsh|rmt|info|new-v)| -[A-Za-z]*[IF]|^ \S+ [A-Za-z]*[IF]",
        "rg": r" --(?:pre|hostname)",
        "sort": r" --comp",
        "find": r" -(?:exec|ok)",
        "fd fdfind": r" -[A-Za-z]*[xX]| --exec",
        "awk gawk mawk nawk": r"system|\||getline|@| -[A-Za-z]*[ilE]| --(?:load|incl|exec)",
        "man": r" -[A-Za-z]*[PHXTZC]| --(?:pag|html|gx|troff|dit|conf)",
        "rsync": r" -[A-Za-z]*e| --(?:rsh|rsync-path|daemon|config)",
        "scp": r" -[A-Za-z]*[SoFDJ]",
        "zip": r" -[A-Za-z]*T| --(?:unzip|test)",
        "split": r" --filter",
        "tcpdump": r" -[A-Za-z]*z",
        "less more": r" -[A-Za-z]*k| --lesskey| \+",
        "make gmake": r" --eval| SHELL=| -[A-Za-z]*E",
        "go": r" -(?:exec|toolexec|vettool)| generate ",
        "gcc g++ cc c++ clang clang++": r" -(?:wrapper|specs|fplugin|B)| --(?:spec|plugin)| @",
        "wget": r" --(?:use-askpass|exec)| -[A-Za-z]*e",
        "curl": r" -[A-Za-z]*K| --config",
        "cpio": r" --rsh| -[A-Za-z]*F",
        "openssl": r" -(?:engine|provider)| engine ",
        "ssh-keygen": r" -[A-Za-z]*[Dw]",
        "cargo": r" --config",
        "hg": r" --(?:conf|debugger)",
        "gh": r" (?:alias|extension) ",
        "java": r" -(?:agent|javaagent|XX:(?:On|Flags))| @",
        "cmake": r" -[EPC]",
        "mvn mvnw": r" \S*(?:exec|antrun|groovy\S*):",
        "nmap": r" --script",
        "ansible ansible-playbook kubectl": r" exec | -[A-Za-z]*m",
        "apt apt-get dpkg": r" -[A-Za-z]*o| --(?:pre|post)-invoke",
        "pip": r" --(?:global|install|config)-",
        "dc bc": r"!",
        "ip": r" exec | -b",
        "env": r" -[A-Za-z]*S| --split",
        "xargs": r" -[A-Za-z]*[Ii]| --replace|\{",
        "alias": r"=",
        "hash": r" -[A-Za-z]*p",
        "complete mapfile readarray bind": r" -[A-Za-z]*[CFx]",
    }
)
_RUNS_ANY = re.compile(
    r" --(?!no-)(?:[a-z]+-)*"
    r"(?:exec|cmd|command|program|pager|shell|rsh|hook|plugin|filter|pre|editor|helper|runner)[= ]"
)
# The same for options that write a file.
_WRITES = _table(
    {
        "git": r" --(?:outp|git-dir|work-tree|separate)|^(?=.* bundle ).* create "
        r"|^(?=.* (?:archive|format-patch|bugreport|diagnose) ).* -[A-Za-z]*o",
        "sort": r" -[A-Za-z]*[oT]| --(?:outp|temp)",
        "find": r" -(?:delete|fprint|fls)",
        "tar bsdtar gtar": r" -[A-Za-z]*[CP]| --(?:dir|abs|cd)",
        "curl": r" -[A-Za-z]*[oOcDTJ]"
        r"| --(?:outp|remote|cookie-jar|dump|trace|upl|etag-save|hsts|alt-svc|stderr|libcurl)",
        "wget": r" -[A-Za-z]*[OPoai]| --(?:outp|dir|append|save|warc|inp)",
        "tcpdump": r" -[A-Za-z]*w",
        "less more": r" -[A-Za-z]*[oO]| --log",
        "awk gawk mawk nawk": r">| -[A-Za-z]*[dpo]| --(?:dump|prof|pretty)",
        "uniq xxd": r"^ \S+(?: -\S+)* [^- ]\S* [^- ]",
        "unzip 7z": r" -[A-Za-z]*[do]",
        "tree": r" -[A-Za-z]*o",
        "openssl": r" -out",
    }
)
_WRITES_ANY = re.compile(
    r" --(?:[a-z]+-)*(?:output|out|outfile|output-file|output-dir|output-document|logfile|log-file|dump|in-place)[= ]"
)
_FOLLOWS = _table(
    {
        "grep egrep fgrep zgrep": r" -[A-Za-z]*R| --deref",
        "rg ag fd fdfind": r" -[A-Za-z]*L| --follow",
        "ack": r" --follow",
        "find": r" -(?:L|follow) ",
        "tree": r" -[A-Za-z]*l",
        "du ls cp rsync": r" -[A-Za-z]*L| --(?:deref|copy-links)",
        "tar bsdtar gtar": r" -[A-Za-z]*h| --deref|^ \S+ [A-Za-z]*h",
    }
)
_PLAIN_START = re.compile(r"[A-Za-z0-9_./]")
_SED_OPTION = re.compile(
    r"-[nErsuz]+|-[nErsuz]*i[A-Za-z0-9.~]*|--(?:quiet|silent|regexp-extended|null-data|debug|posix)"
)
_SED_SAFE = re.compile(
    r"(?:(?:[0-9]+|\$|/[^/\n;{}\\]*/)(?:,(?:\+?[0-9]+|\$|/[^/\n;{}\\]*/))?)?"
    r"(?:[pdq=]|s(?P<mark>[/|,#:])(?:(?!(?P=mark))[^\\\n]|\\[^\n])*(?P=mark)(?:(?!(?P=mark))[^\\\n]|\\[^\n])*(?P=mark)[gpiI0-9]*)"
)


def program(word: Word) -> str:
    """The name of a program, without its folder, its version and its case."""
    name = word.text.rpartition("/")[2].lower()
    versioned = _VERSIONED.fullmatch(name)
    return name if versioned is None else versioned[1]


def spell(words: Sequence[Word]) -> str:
    """The words joined by blanks, the blanks inside of them spelled so that they cannot be taken for those between."""
    return " ".join(word.text.translate(_JOINED) for word in words)


def doubt(words: Sequence[Word]) -> str:
    """Why it cannot be told which programs this command runs; "" where it can."""
    name = words[0]
    if not name.fixed:
        return "the name of the program is computed"
    if not name.text.isascii() or not name.text.isprintable():
        return "the name of the program holds unusual characters"
    if any(word.quoted and defers(word) for word in words):
        return "an index is computed by text"
    known = program(name)
    if known in _SCRIPTED:
        return f"{known} runs what it reads"
    judge = _JUDGES.get(known)
    if judge is not None and (reason := judge(words)):
        return reason
    text = f" {spell(words)} "
    runs = _RUNS.get(known)
    if (runs is not None and _compile(runs).search(text)) or _RUNS_ANY.search(text):
        return f"an option of {known} can run another program"
    return ""


def defers(word: Word) -> bool:
    """Whether the word holds a substitution inside an index, which bash runs when it looks the name up."""
    _, bracket, index = word.text.partition("[")
    return bracket != "" and ("$(" in index or "`" in index)


def writes(words: Sequence[Word]) -> str:
    """Why a general grant of the program does not cover these options: they write files; "" where it does."""
    known = program(words[0])
    text = f" {spell(words)} "
    pattern = _WRITES.get(known)
    if (pattern is not None and _compile(pattern).search(text)) or _WRITES_ANY.search(text) or writes_in_place(words):
        return f"an option of {known} writes files"
    return ""


def hides_options(words: Sequence[Word]) -> bool:
    """Whether a computed word may stand for an option that runs a program or writes a file."""
    name = program(words[0])
    if name not in _RUNS and name not in _WRITES and name not in _JUDGES:
        return False
    at = find_module(words) if name in _PYTHONS else 0
    # What a wildcard stands for begins as the word does, and a module takes its options from the words after it.
    plain = words[: at + 1] if at > 0 else words
    return any(not word.fixed for word in plain) or any(
        not word.static or not _PLAIN_START.match(word.text) for word in words[len(plain) :] if not word.fixed
    )


def follows_links(words: Sequence[Word]) -> bool:
    """Whether the program goes into the folders that links lead to."""
    pattern = _FOLLOWS.get(program(words[0]))
    return pattern is not None and _compile(pattern).search(f" {spell(words)} ") is not None


def writes_in_place(words: Sequence[Word]) -> bool:
    return program(words[0]) in ("sed", "gsed", "perl", "yq") and any(_IN_PLACE.fullmatch(word.text) for word in words)


def is_risky_assignment(text: str) -> bool:
    """Whether setting this variable can change which program runs."""
    return _RISKY_VARIABLE.match(text) is not None


def unwrap(words: Sequence[Word]) -> Sequence[Word] | None:
    """The command inside of transparent wrappers; None where their options leave it in doubt."""
    for _ in range(MAX_WRAPPERS):
        if not words or words[0].text not in TRANSPARENT:
            return words
        name, rest = words[0].text, list(words[1:])
        if name == "time" and rest and rest[0].text == "-p":
            rest = rest[1:]
        elif name in ("timeout", "nice") and rest and rest[0].text in ("-n", "-s", "-k"):
            rest = rest[2:]
        elif name == "stdbuf":
            while rest and re.fullmatch(r"-[ioe][0L]", rest[0].text):
                rest.pop(0)
        if name == "timeout":
            if not rest or not re.fullmatch(r"[0-9.]+[smhd]?", rest[0].text):
                return None
            rest.pop(0)
        if not rest or rest[0].text.startswith("-") or not all(word.fixed for word in words[: -len(rest)]):
            return None
        words = rest
    return None


def _doubt_shell(words: Sequence[Word]) -> str:
    index = 1
    while index < len(words):
        text = words[index].text
        if re.fullmatch(r"[-+][A-Za-z]*c[A-Za-z]*", text):
            return "" if all(word.fixed for word in words) else "a shell is given computed text"
        if re.fullmatch(r"[-+][A-Za-z]*s[A-Za-z]*", text) or text in ("-", "--rcfile", "--init-file"):
            break
        if not text.startswith(("-", "+")):
            return _doubt_file(words[index])
        index += 2 if text in ("-o", "+o", "-O", "+O") else 1
    return "a shell reads its commands from elsewhere"


def _doubt_file(word: Word) -> str:
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
    if not operands or any(_INLINE.fullmatch(text) for text in texts):
        return "a program is given as text"
    return _doubt_file(operands[0])


def _doubt_sed(words: Sequence[Word]) -> str:
    scripts: list[Word] = []
    awaited = False
    for word in words[1:]:
        if awaited or (not scripts and not word.text.startswith("-")):
            scripts.append(word)
            awaited = False
        elif re.fullmatch(r"-[nErsuz]*e", word.text):
            awaited = True
        elif word.text.startswith("-") and not _SED_OPTION.fullmatch(word.text):
            return "an option of sed can run another program"
    safe = all(word.static and _SED_SAFE.fullmatch(word.text) for word in scripts)
    return "" if scripts and safe else "a sed script can run programs and write files"


_JUDGES: dict[str, Callable[[Sequence[Word]], str]] = {
    **dict.fromkeys(SHELLS, _doubt_shell),
    **dict.fromkeys(_INTERPRETERS, _doubt_interpreter),
    **dict.fromkeys(_PYTHONS, _doubt_python),
    **dict.fromkeys((".", "source"), _doubt_source),
    **dict.fromkeys(("eval", "trap"), _doubt_eval),
    **dict.fromkeys(_EXPANDERS, _doubt_expander),
    **dict.fromkeys(("sed", "gsed"), _doubt_sed),
}
