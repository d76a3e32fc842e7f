"""Options by which a program runs another one, writes a file, or leaves the place it is in.

An entry can only make a decision stricter, so a doubtful option belongs here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from a3s_code.harness.safety.awk import NAMES as AWKS
from a3s_code.harness.safety.awk import writes_files
from a3s_code.harness.safety.interpreters import doubt_program, find_module, takes_options
from a3s_code.harness.safety.programs import PYTHONS, defers, list_names, program, spell
from a3s_code.harness.safety.sed import NAMES as SEDS
from a3s_code.harness.safety.sed import read_script
from a3s_code.harness.safety.words import Word

_IN_PLACE = re.compile(r"-[A-Za-z]*i.*|--in-place.*", re.DOTALL)


def _table(entries: dict[str, str]) -> dict[str, str]:
    return {name: pattern for names, pattern in entries.items() for name in names.split()}


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    # Most of the tables' patterns are never asked for, and compiling them all costs milliseconds.
    return re.compile(pattern)


# Searched in " word word ", with the blanks inside a word as \x1f: options and subcommands that run a program.
_VERB = r"^ \S+(?: -\S+(?: [^- ]\S*)?)*"
_RUNS = _table(
    {
        "git": _VERB + r" -c(?! (?:(?:color|advice|log|diff|status|column)\.(?!external)[A-Za-z.]+=[A-Za-z0-9]+"
        r"|(?i:core\.quotepath)=[a-z]+|(?i:init\.defaultbranch)=[\w/-]+|user\.(?:name|email)=[^ ]*) )"
        r"| --(?:conf|exe|upl|rece|open|extc|ext-|textc|templ)|(?:ext|fd)::"
        r"|" + _VERB + r" config (?!(?:--(?:global|system|local|worktree) )*"
        r"(?:(?:--get(?:-all|-regexp)?|--list|-l|get|list) |[a-z][A-Za-z0-9.-]*\.[A-Za-z0-9-]+ $))"
        r"| (?:difftool|mergetool|filter-branch|hook|daemon|instaweb|send-email|imap-send|credential|for-each-repo"
        r"|remote-ext|remote-fd|web--browse|shell) "
        r"|^(?=.* bisect ).* run |^(?=.* submodule ).* foreach |^(?=.* rebase ).* -[A-Za-z]*[xi]"
        r"|^(?=.* grep ).* -[A-Za-z]*O|^(?=.* clone ).* -[A-Za-z]*[uc]",
        "tar bsdtar gtar": r" --(?:checkpoint-a|to-c|us|rs|rm|inf|new-v)| -[A-Za-z]*[IF]|^ \S+ [A-Za-z]*[IF]",
        "rg": r" --(?:pre[ =]|hostname)",
        "sort": r" --co",
        "awk gawk mawk nawk": r" -[A-Za-z]*[filE]| --(?:load|incl|exec|fil)",
        "man": r" -[A-Za-z]*[PHXTZC]| --(?:pag|html|gx|troff|dit|conf)",
        "rsync": r" -[A-Za-z]*e| --(?:rsh|rsync-path|daemon|config)",
        "scp": r" -[A-Za-z]*[SoFDJ]",
        "zip": r" -[A-Za-z]*T| --(?:unzip|test)",
        "split": r" --f",
        "tcpdump": r" -[A-Za-z]*z",
        "less more": r" -[A-Za-z]*k| --lesskey| \+(?!(?:[GF]|[0-9]+|/[\w.-]+) )",
        "make gmake": r" --eval| SHELL=| -[A-Za-z]*E| -[A-Za-z]*f ?(?:-|/dev/\S*) | --(?:make)?file[= ](?:-|/dev/\S*) ",
        "go": r" -(?:exec|toolexec|vettool)| generate ",
        "gcc g++ cc c++ clang clang++": r" -(?:wrapper|specs|fplugin|B)| --(?:spec|plugin)| @",
        "wget": r" --(?:use-askpass|exec|conf)| -[A-Za-z]*e",
        "curl": r" -[A-Za-z]*K| --(?:config|engine)",
        "ssh": r" -[A-Za-z]*[FI]|(?i:(?:proxy|local|remote|hosts)command|provider|include)",
        "bun": r" -[A-Za-z]*[ep] | --(?:eval|print|preload)| -r ",
        "gpg gpg2": r" --photo",
        "enable": r" -[A-Za-z]*f",
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
        "sort": r" -[A-Za-z]*[oT]| --[ot]",
        "find": r" -(?:delete|fprint|fls)",
        "tar bsdtar gtar": r" -[A-Za-z]*[CP]| --(?:dir|abs|cd)",
        "curl": r" -(?![A-Za-z]*o ?(?:-|/dev/null) )[A-Za-z]*[oOcDTJ]| -[A-Za-z]*[OcDTJ]"
        r"| --(?:outp|remote|cookie-jar|dump|trace|upl|etag-save|hsts|alt-svc|stderr|libcurl)",
        "wget": r" -(?![A-Za-z]*O ?(?:-|/dev/null) )[A-Za-z]*[OPoai]| -[A-Za-z]*[Poai]"
        r"| --(?:outp|dir|append|save|warc|inp)",
        "tcpdump": r" -[A-Za-z]*w",
        "less more": r" -[A-Za-z]*[oO]| --log",
        "awk gawk mawk nawk": r" -[A-Za-z]*[dpo]| --(?:dump|prof|pretty)",
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
_PLAIN_GIT = list_names(
    """log diff show status add commit checkout switch branch rm mv stash restore reset merge tag blame rev-parse
    describe shortlog ls-files cherry-pick revert"""
)
_ALIAS = re.compile(r"alias\.[^=]+=([^!].*)", re.DOTALL)
_PLAIN_START = re.compile(r"[A-Za-z0-9_./]")


def doubt(words: Sequence[Word]) -> str:
    """Why it cannot be told which programs this command runs; "" where it can."""
    name = words[0]
    if not name.fixed:
        return "the name of the program is computed"
    if not name.text.isascii() or not name.text.isprintable():
        return "the name of the program holds unusual characters"
    if any(word.quoted and defers(word) for word in words):
        return "an index is computed by text"
    reason = doubt_program(words)
    if not reason and names_program(words):
        return f"an option of {program(name)} can run another program"
    return reason


def names_program(words: Sequence[Word]) -> bool:
    """Whether an option or a subcommand has it run a program that the words name."""
    text = f" {spell(words)} "
    runs = _RUNS.get(program(words[0]))
    return (runs is not None and _compile(runs).search(text) is not None) or _RUNS_ANY.search(text) is not None


def list_named(words: Sequence[Word]) -> Iterator[Word]:
    """The texts that such an option may have it run: each word, and what stands after a `=` in it."""
    for word in words[1:]:
        text = word.text
        pieces = {text, text.partition("=")[2], text.rpartition("=")[2]}
        if (alias := _ALIAS.fullmatch(text)) is not None:
            pieces.add(f"git {alias[1]}")
        if text.startswith("-") and not text.startswith("--"):
            pieces.add(text[2:])
        yield from (Word(piece.lstrip("!"), word.static, word.glob) for piece in sorted(pieces) if piece)


def writes(words: Sequence[Word]) -> str:
    """Why a general grant of the program does not cover these options: they write files; "" where it does."""
    known = program(words[0])
    text = f" {spell(words)} "
    pattern = _WRITES.get(known)
    if (pattern is not None and _compile(pattern).search(text)) or _WRITES_ANY.search(text) or writes_in_place(words):
        return f"an option of {known} writes files"
    if known in AWKS and writes_files(words):
        return "an awk program writes files"
    scripted = known in SEDS and any(use == "write" for use, _ in read_script(words).files)
    return "a sed script writes files" if scripted else ""


def hides_options(words: Sequence[Word]) -> bool:
    """Whether a computed word may stand for an option that runs a program or writes a file."""
    name = program(words[0])
    if name not in _RUNS and name not in _WRITES and not takes_options(name):
        return False
    if name == "git" and _is_plain_git(words):
        return False
    at = find_module(words) if name in PYTHONS else 0
    # What a wildcard stands for begins as the word does, and a module takes its options from the words after it.
    plain = words[: at + 1] if at > 0 else words
    return any(not word.fixed for word in plain) or any(
        not word.static or not _PLAIN_START.match(word.text) for word in words[len(plain) :] if not word.fixed
    )


def _is_plain_git(words: Sequence[Word]) -> bool:
    """Whether what follows the subcommand of git is taken for revisions and files, be it computed or not."""
    verb = next((word for word in words[1:] if not word.text.startswith("-")), None)
    return verb is not None and verb.fixed and verb.text in _PLAIN_GIT and words[1] is verb


def follows_links(words: Sequence[Word]) -> bool:
    """Whether the program goes into the folders that links lead to."""
    pattern = _FOLLOWS.get(program(words[0]))
    return pattern is not None and _compile(pattern).search(f" {spell(words)} ") is not None


def writes_in_place(words: Sequence[Word]) -> bool:
    return program(words[0]) in ("sed", "gsed", "perl", "yq") and any(_IN_PLACE.fullmatch(word.text) for word in words)
