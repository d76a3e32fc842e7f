"""Finds, reads and checks a configuration."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from a3s_code.config.acl import parse
from a3s_code.config.document import Attribute
from a3s_code.config.entries import entries_of, value_of
from a3s_code.config.journal import log_warnings
from a3s_code.config.limits import DEFAULT_LIMITS
from a3s_code.config.reading import Reading
from a3s_code.config.schema import Config
from a3s_code.config.secret import Secret
from a3s_code.config.section import Section
from a3s_code.config.toplevel import read_config
from a3s_code.errors import ConfigError, ConfigNotFound

SUFFIX = ".acl"
VARIABLE = "A3S_CONFIG"
_WHAT_TO_GIVE = "a path ends in .acl; ACL text holds at least one name = value"
_NO_OVERRIDES: Mapping[str, Any] = MappingProxyType({})


class _Source(NamedTuple):
    path: Path | None
    text: str
    by_search: bool


class _Top(NamedTuple):
    """Where an error about the whole configuration is placed: nowhere."""

    line: int = 0
    column: int = 0


def load_config(
    source: str | os.PathLike[str] | None,
    overrides: Mapping[str, Any] = _NO_OVERRIDES,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    home: str | os.PathLike[str] | None = None,
) -> Config:
    """The configuration in `source`: the path of an .acl file, ACL text, or None to look for a file.

    Looked for are the file that A3S_CONFIG names, ./agent.acl and ~/.a3s/agent.acl, in this order; where there is none,
    `overrides` alone will do. Text is told from a path by a line break, a brace or an equals sign in it, or by being
    empty. `overrides` are top-level settings as plain values and win: a dict is added to what the text says, anything
    else takes its place, and None takes the setting back. Relative paths in a file start at its folder, in text and
    overrides at `cwd`. `environ`, `cwd` and `home` are those of the process unless given. Warnings are kept in the
    Config, and logged to "a3s_code.config". Raises ConfigError: AclError for text that does not parse, ConfigNotFound
    where there is none.
    """
    variables = os.environ if environ is None else environ
    current = Path.cwd() if cwd is None else Path(cwd).absolute()
    home_folder = _home() if home is None else Path(home).absolute()
    if source is None:
        found = _search(variables, current, home_folder, may_find_none=bool(overrides))
    else:
        found = _given(source, current)
    file = str(found.path) if found.path else None
    document = parse(found.text, file=file)
    reading = Reading(
        environ=variables,
        folder=found.path.parent if found.path else current,
        current=current,
        home=home_folder,
        file=file,
        text=found.text,
    )
    plain = [Attribute(name, value_of(name, value)) for name, value in overrides.items()]
    config = read_config(Section(reading, "", entries_of(document.items) + entries_of(plain), _Top()))
    log_warnings(config)
    text = Secret(found.text) if found.text else None
    return replace(config, source_path=found.path, found_by_search=found.by_search, source_text=text)


def _given(source: object, current: Path) -> _Source:
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if not isinstance(name, str):
        found = type(source).__name__
        raise ConfigError(f"the configuration must be a path, ACL text or None; found {found}", hint=_WHAT_TO_GIVE)
    if isinstance(source, str):
        if _is_text(source, current):
            return _Source(None, source, by_search=False)
        if not Path(source).suffix:
            raise ConfigError("the configuration is neither the path of an .acl file nor ACL text", hint=_WHAT_TO_GIVE)
    return _Source(current / name, _read(current / name), by_search=False)


def _is_text(source: str, current: Path) -> bool:
    if not source.strip() or "\n" in source or "\r" in source:
        return True
    marked = "=" in source or "{" in source
    return marked and not (source.lower().endswith(SUFFIX) and _is_there(current / source))


def _search(environ: Mapping[str, str], current: Path, home: Path | None, *, may_find_none: bool) -> _Source:
    named = environ.get(VARIABLE)
    if named:
        path = home / named[2:] if home and named.startswith("~/") else current / named
        return _Source(path, _read(path, f", which the environment variable {VARIABLE} names"), by_search=False)
    places = [current / "agent.acl"] + ([home / ".a3s" / "agent.acl"] if home else [])
    for path in places:
        if _is_there(path):
            return _Source(path, _read(path), by_search=True)
    if may_find_none:
        return _Source(None, "", by_search=False)
    tried = ", ".join([f"${VARIABLE} (not set)", *map(str, places)])
    raise ConfigNotFound(f"no configuration found; tried {tried}", hint="write ./agent.acl, or name a file or ACL text")


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _read(path: Path, named_by: str = "") -> str:
    """The text of the file, or a ConfigError that says why there is none."""
    file = str(path)
    if path.suffix.lower() != SUFFIX:
        kind = path.suffix or "without a suffix"
        raise ConfigError(
            f"a configuration file is .acl, not {kind}{named_by}", file=file, hint="write ACL, as NAME.acl"
        )
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "is a folder" if path.is_dir() else "is not a file"
            raise ConfigError(f"the configuration {what}{named_by}", file=file, hint="name the .acl file itself")
        with path.open("rb") as handle:
            # Room for a byte order mark, and one byte too many is enough to tell that there are too many.
            raw = handle.read(DEFAULT_LIMITS.document_bytes + len(codecs.BOM_UTF8) + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise ConfigNotFound(f"no such configuration file{named_by}", file=file, hint="check the path") from None
    except OSError as error:
        raise ConfigError(
            f"the configuration cannot be read: {error.strerror}{named_by}", file=file, hint="check the file"
        ) from error
    return _decode(raw, file)


def _decode(raw: bytes, file: str) -> str:
    if len(raw.removeprefix(codecs.BOM_UTF8)) > DEFAULT_LIMITS.document_bytes:
        # Too long in any case: the parser says so, whatever the bytes are.
        return raw.decode("utf-8", "replace")
    bad = _first_undecodable(raw)
    if bad is not None:
        line = raw.count(b"\n", 0, bad) + 1
        message = f"the configuration is not UTF-8: the byte at offset {bad} does not fit"
        raise ConfigError(message, file=file, line=line, hint="save the file as UTF-8")
    return raw.decode("utf-8")


def _first_undecodable(raw: bytes) -> int | None:
    """Where `raw` stops being UTF-8. The exception that knows it holds all of `raw`, so it goes no further."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None
