"""The files that known programs read, write and remove, as their words name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from a3s_code.harness.safety.options import writes_in_place
from a3s_code.harness.safety.programs import list_names, program
from a3s_code.harness.safety.words import Word

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
    sdiff diff3 hexyl envsubst"""
)
_SEARCHERS = list_names("rg ag ack grep egrep fgrep zgrep")
_SCRIPTED = _SEARCHERS | list_names("sed gsed awk gawk mawk nawk jq yq")
# The last file is written, the others are read.
_COPIERS = list_names("cp install ln rsync scp uniq")
_REMOVERS = list_names("rm rmdir unlink shred")
WRITERS = (
    _COPIERS
    | _REMOVERS
    | list_names(
        "tee mv dd touch mkdir truncate chmod chown chgrp mkfifo mknod patch ed ex gzip gunzip bzip2 xz zstd zip"
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
        "wget": "Oao",
        "sort tree shuf": "o",
        "gcc g++ cc c++ clang clang++ ld pandoc": "o",
        "tcpdump": "w",
        "patch": "o",
    }
)
_LONG_OUTPUT = re.compile(
    r"--(?:[a-z]+-)*(?:output|outfile|output-file|output-document|logfile|log-file|cookie-jar)=(.+)", re.DOTALL
)
_LONG_OUTPUTS = list_names(
    """--output --output-document --output-file --outfile --cookie-jar --dump-header -out -fprint -fprintf -fprint0
    -fls"""
)
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
    if name in ("tar", "bsdtar", "gtar"):
        yield from _list_tar(words)
        return
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
    for index, word in enumerate(files):
        last = index == len(files) - 1 and into is None
        yield from _uses(name, word, writer=writer, last=last, alone=index == 0)
    for word in words[1:]:
        if word.static and (value := _LONG_INPUT.fullmatch(word.text)) is not None:
            yield Operand("read", Word(value[1], glob=word.glob))
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
    elif writer and not copied:
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


def _list_tar(words: Sequence[Word]) -> Iterator[Operand]:
    clusters = [word.text.lstrip("-") for word in words[1:] if re.fullmatch(r"-?[A-Za-z]+", word.text)]
    letters = clusters[0] if clusters else ""
    longs = {word.text.partition("=")[0] for word in words[1:]}
    creates = set(letters) & set("cru") or longs & {"--create", "--append", "--update", "--concatenate"}
    if set(letters) & {"x"} or longs & {"--extract", "--get"}:
        yield Operand("write", Word("."), deep=True)
    start = 2 if len(words) > 1 and clusters and words[1].text.lstrip("-") == letters else 1
    rest = [word for word in words[start:] if not word.text.startswith("-") or not word.static]
    archived = "f" in letters
    for index, word in enumerate(rest):
        yield Operand("write" if archived and index == 0 and creates else "read", word, deep=True)


def _target_folder(words: Sequence[Word]) -> Word | None:
    """The folder of `-t folder`, where there is one."""
    for index, word in enumerate(words[1:], 1):
        if (found := re.fullmatch(r"--target-directory=(.+)|-t(.+)", word.text, re.DOTALL)) is not None:
            return Word(found[1] or found[2], word.static, word.glob)
        if word.text in ("-t", "--target-directory") and index + 1 < len(words):
            return words[index + 1]
    return None


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
