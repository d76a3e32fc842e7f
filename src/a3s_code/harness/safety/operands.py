"""The files that known programs read, write and remove, as their words name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from a3s_code.harness.safety.awk import NAMES as AWKS
from a3s_code.harness.safety.awk import list_files as list_awk_files
from a3s_code.harness.safety.interpreters import find_module
from a3s_code.harness.safety.options import writes_in_place
from a3s_code.harness.safety.programs import PYTHONS, SHELLS, list_names, program
from a3s_code.harness.safety.sed import NAMES as SEDS
from a3s_code.harness.safety.sed import read_script
from a3s_code.harness.safety.tar import NAMES as TARS
from a3s_code.harness.safety.tar import list_archived
from a3s_code.harness.safety.words import Word
from a3s_code.harness.safety.wrappers import find_script

Use = Literal["read", "write", "delete"]


def _letters(entries: Mapping[str, str]) -> Mapping[str, str]:
    return {name: letters for names, letters in entries.items() for name in names.split()}


NAMES_ONLY = list_names("ls find tree stat file du fd fdfind readlink realpath")
READERS = NAMES_ONLY | list_names(
    """cat head tail less more nl tac od xxd hexdump hd strings wc sort uniq cut diff cmp comm join paste grep egrep
    fgrep rg ag ack sed gsed awk gawk mawk nawk md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum
    base64 base32 bat batcat jq yq rev fold fmt pr expand unexpand split csplit tar bsdtar gtar zip unzip gzip gunzip
    zcat bzip2 bunzip2 bzcat xz unxz xzcat zstd zstdcat cp mv ln install rsync scp dd source . view vi vim nano emacs
    column look zgrep zless zmore iconv dos2unix shuf tsort sum nm objdump readelf ptx numfmt vimdiff colordiff
    sdiff diff3 hexyl envsubst 7z 7za gpg gpg2 pandoc openssl crontab"""
)
_SEARCHERS = list_names("rg ag ack grep egrep fgrep zgrep")
_SCRIPTED = _SEARCHERS | list_names("sed gsed awk gawk mawk nawk jq yq")
# The last file is written, the others are read.
_COPIERS = list_names("cp install ln link rsync scp uniq xxd split")
# Given one file alone they only read it.
_FILTERS = list_names("uniq xxd split")
_REMOVERS = list_names("rm rmdir unlink shred")
WRITERS = (
    _COPIERS
    | _REMOVERS
    | list_names(
        """tee mv dd touch mkdir truncate chmod chown chgrp chattr setfacl fallocate mkfifo mknod patch ed ex gzip
        gunzip bzip2 xz zstd zip sponge dos2unix unix2dos rename"""
    )
)
_WHOLE_FOLDERS = _COPIERS | _REMOVERS | list_names("mv chmod chown chgrp")
_FED_BY_OTHERS = list_names("parallel")
# The letters of options whose value is no file that is read.
_VALUED = _letters(
    {
        "head tail": "nc",
        "cut": "bcdf",
        "sort": "ktS",
        "grep egrep fgrep zgrep": "ABCmed",
        "rg": "ABCMegjmrtT",
        "wc tee nl": "",
        "cp mv ln": "tS",
        "install": "mogtS",
        "awk gawk mawk nawk": "Fv",
        "fold fmt": "w",
        "mkdir": "m",
        "split": "blnCa",
        "truncate": "s",
        "touch": "dt",
        "diff": "U",
        "xxd": "clsg",
        "od": "AtNjw",
        "shuf": "n",
    }
)
_OUTPUTS = _letters(
    {
        "curl": "oDc",
        "wget": "OaoP",
        "unzip": "d",
        "iconv gpg gpg2 strace ltrace": "o",
        "csplit": "f",
        "sort tree shuf": "o",
        "gcc g++ cc c++ clang clang++ ld pandoc": "o",
        "tcpdump": "w",
        "patch": "or",
    }
)
_LONG_OUTPUT = re.compile(
    r"--(?:[a-z]+-)*(?:output|outfile|output-file|output-document|output-dir|directory-prefix|logfile|log-file|cookie-jar)=(.+)",
    re.DOTALL,
)
_LONG_OUTPUTS = list_names(
    """--output --output-document --output-dir --directory-prefix --output-file --outfile --cookie-jar
    --dump-header -out -fprint -fprintf -fprint0
    -fls"""
)
_INPUTS = _letters({"xargs": "a", "at make gmake psql": "f", "curl": "TK", "wget": "i", "patch": "i"})
_LONG_INPUTS = list_names("--env-file --arg-file --file --makefile --files-from --upload-file --post-file --config")
_SENT = re.compile(r"(?:^|=|^-[A-Za-z]+)[@<]([^;]+)|^(?i:file):/*(/[^?#]*)")
_READING_MODULES = list_names("json.tool tokenize ast dis tabnanny py_compile compileall base64 gzip zipfile tarfile")
_LONG_INPUT = re.compile(r"--[a-z0-9-]*(?:file|from)[a-z0-9-]*=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Operand:
    """A word that names a file, and what becomes of the file. `deep`: what a folder holds counts too."""

    use: Use
    word: Word
    deep: bool = False


def list_operands(words: Sequence[Word]) -> Iterator[Operand]:
    """The files of one simple command. A word that is computed stands for a file that cannot be told."""
    name = program(words[0])
    yield from _list_outputs(name, words)
    yield from _list_inputs(name, words)
    if name in TARS:
        yield from (Operand(use, word, deep=True) for use, word in list_archived(words))
        return
    if name in SEDS and all(word.static for word in words):
        yield from (Operand(use, Word(file)) for use, file in read_script(words).files)
    if name in AWKS:
        yield from (Operand(use, word) for use, word in list_awk_files(words))
    if name == "find" and any(word.text == "-delete" for word in words):
        starts = [word for word in words[1:] if not word.text.startswith("-")]
        yield from (Operand("delete", word, deep=True) for word in starts[:1] or [Word(".")])
    writer = name in WRITERS or writes_in_place(words)
    if not writer and name not in READERS:
        return
    files = _list_files(name, words[1:])
    into = _target_folder(words) if name in ("cp", "mv", "install", "ln") else None
    if into is not None:
        yield Operand("write", into)
    if len(files) == 1 and name in _FILTERS and all(word.text != "-" for word in words):
        writer = False
    for index, word in enumerate(files):
        last = index == len(files) - 1 and into is None
        yield from _uses(name, word, writer=writer, last=last, alone=index == 0)
    if (name in _SEARCHERS and not files) or (name in NAMES_ONLY and not _starts(name, words)):
        yield Operand("read", Word("."), deep=name in _SEARCHERS)


def is_fed(words: Sequence[Word]) -> bool:
    """Whether it gets the names of its files from elsewhere."""
    return program(words[0]) in _FED_BY_OTHERS


def _uses(name: str, word: Word, *, writer: bool, last: bool, alone: bool) -> Iterator[Operand]:
    copied = name in _COPIERS and not last
    if name in READERS and not (name in _COPIERS and last and not alone):
        yield Operand("read", word, deep=name not in NAMES_ONLY)
    if name in _REMOVERS or (name == "mv" and not last):
        yield Operand("delete", word, deep=True)
    elif writer and not copied and (name != "zip" or alone):
        yield Operand("write", word, deep=name in _WHOLE_FOLDERS)


def _list_outputs(name: str, words: Sequence[Word]) -> Iterator[Operand]:
    letters = _OUTPUTS.get(name, "")
    for index, word in enumerate(words[1:], 1):
        text = word.text
        value = words[index + 1] if index + 1 < len(words) else None
        if (found := _LONG_OUTPUT.fullmatch(text)) is not None:
            yield Operand("write", Word(found[1], word.static, word.glob))
        elif text in _LONG_OUTPUTS and value is not None:
            yield Operand("write", value)
        elif letters and (cluster := re.fullmatch(rf"-[A-Za-z]*?[{letters}](.*)", text, re.DOTALL)) is not None:
            if cluster[1]:
                yield Operand("write", Word(cluster[1], word.static, word.glob))
            elif value is not None:
                yield Operand("write", value)


def _target_folder(words: Sequence[Word]) -> Word | None:
    """The folder of `-t folder`, where there is one."""
    for index, word in enumerate(words[1:], 1):
        if (
            found := re.fullmatch(r"--target-directory=(.+)|-[abcdDfilnpPrRsuvxZLHT]*t(.+)", word.text, re.DOTALL)
        ) is not None:
            return Word(found[1] or found[2], word.static, word.glob)
        if re.fullmatch(r"--target-directory|-[abcdDfilnpPrRsuvxZLHT]*t", word.text) and index + 1 < len(words):
            return words[index + 1]
    return None


def _list_inputs(name: str, words: Sequence[Word]) -> Iterator[Operand]:
    """The files that options and scripts name, whatever the program."""
    letters = _INPUTS.get(name, "")
    for index, word in enumerate(words[1:], 1):
        text = word.text
        value = words[index + 1] if index + 1 < len(words) else None
        if not word.static or _LONG_OUTPUT.fullmatch(text):
            continue
        if (found := _LONG_INPUT.fullmatch(text)) is not None:
            yield Operand("read", Word(found[1], glob=word.glob))
        elif value is not None and text in _LONG_INPUTS:
            yield Operand("read", value)
        elif letters and (cluster := re.fullmatch(rf"-[A-Za-z]*?[{letters}](.*)", text, re.DOTALL)) is not None:
            if cluster[1] or value is not None:
                yield Operand("read", Word(cluster[1], glob=word.glob) if cluster[1] or value is None else value)
        elif name == "curl" and (sent := _SENT.search(text)) is not None and sent[1] != "-":
            yield Operand("read", Word(sent[1] or sent[2], glob=word.glob))
    yield from (Operand("read", word) for word in _list_scripts(name, words))
    if name == "git" and len(words) > 2 and words[1].text in ("rm", "mv"):
        yield from (Operand("delete", word, deep=True) for word in words[2:] if not word.text.startswith("-"))


def _list_scripts(name: str, words: Sequence[Word]) -> Sequence[Word]:
    """The files that an interpreter reads for its program, or that a module or an option of it reads."""
    if name in SHELLS:
        return find_script(words)[:1]
    if name == "perl" and any(re.fullmatch(r"-[A-Za-z0-9]*[np].*", word.text, re.DOTALL) for word in words[1:]):
        return [word for word in words[1:] if not word.text.startswith("-")]
    if name in PYTHONS and (at := find_module(words)) > 0 and words[at].text.removeprefix("-m") in _READING_MODULES:
        return [word for word in words[at + 1 :] if not word.text.startswith("-")]
    if name == "git" and len(words) > 2 and words[1].text in ("hash-object", "diff", "grep"):
        apart = words[1].text == "hash-object" or any(word.text == "--no-index" for word in words)
        return [word for word in words[2:] if apart and not word.text.startswith("-")]
    return ()


def _starts(name: str, words: Sequence[Word]) -> bool:
    """Whether the program is told where to start; `find` is before its first test."""
    if name != "find":
        return any(not word.text.startswith("-") for word in words[1:])
    rest = (word.text for word in words[1:] if not re.fullmatch(r"-(?:[HLP]|O[0-9]?|D)", word.text))
    return not next(rest, "-").startswith(("-", "(", "!"))


def _list_files(name: str, words: Sequence[Word]) -> list[Word]:
    """The words that stand for files."""
    valued = _VALUED.get(name, "")
    files: list[Word] = []
    skipped = False
    plain = False
    for word in words:
        if skipped:
            skipped = False
        elif word.static and word.text == "--" and not plain:
            plain = True
        elif not plain and word.static and word.text.startswith("-") and len(word.text) > 1:
            skipped = bool(valued) and re.fullmatch(rf"-[A-Za-z]*[{valued}]", word.text) is not None
        elif word.text != "-":
            files.append(word)
        if name == "find" and word.text.startswith(("-", "(", "!")) and not re.fullmatch(r"-[HLP]|-O[0-9]?", word.text):
            break
    if name in _SCRIPTED and not any(re.match(r"-[A-Za-z]*[ef]|--(?:reg|file|exp|from)", word.text) for word in words):
        return files[1:]
    if name == "dd":
        return [Word(word.text.partition("=")[2] or word.text, word.static, word.glob) for word in files]
    return files
