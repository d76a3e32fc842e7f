"""Landlock: the Linux kernel's own way to take rights from a process, by system calls.

Only rights that change files are taken; reading, running programs and the network stay open. A ruleset is a descriptor:
it binds nobody until a process applies it to itself, which the launcher does in the child that becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from a3s_code.system.files import open_folder

CREATE_RULESET, ADD_RULE = 444, 445
RULE_PATH_BENEATH = 1
VERSION = 1

WRITE_FILE = 1 << 1
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_ANY = 0b1111111 << 6
REFER = 1 << 13
TRUNCATE = 1 << 14

# Before the second version a move from one folder to another is refused everywhere, which breaks ordinary builds.
LEAST_VERSION = 2
TRUNCATE_VERSION = 3

Scope = Literal["write", "remove"]


@dataclass(frozen=True, slots=True)
class Grant:
    """What may be done: with "write" anything to a file, or to a folder and all beneath it; with "remove" taking away
    or moving what lies beneath a folder."""

    path: Path
    scope: Scope = "write"


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """The version of the kernel's Landlock; 0 where there is none that is of use."""
    if sys.platform != "linux":
        return 0
    found = int(ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION))
    return found if found >= LEAST_VERSION else 0


def create_ruleset(grants: Iterable[Grant]) -> int:
    """A descriptor of a ruleset that forbids every change of files but the granted ones; the caller closes it.

    A path that is not there, or has come to lead through a link, is left out. Raises OSError.
    """
    handled = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_ANY | REFER
    if version() >= TRUNCATE_VERSION:
        handled |= TRUNCATE
    attributes = _RulesetAttributes(handled)
    ruleset = _call(CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    try:
        for grant in grants:
            _add(ruleset, grant, handled)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def _add(ruleset: int, grant: Grant, handled: int) -> None:
    try:
        # The path was resolved when it was judged: a link that stands in it now leads to another place.
        with open_folder(grant.path.parent) as folder:
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(grant.path.name or ".", flags, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        rights = _rights(grant.scope, os.fstat(descriptor).st_mode) & handled
        if rights:
            rule = _PathBeneath(rights, descriptor)
            _call(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _rights(scope: Scope, mode: int) -> int:
    if stat.S_ISDIR(mode):
        removal = REMOVE_DIR | REMOVE_FILE | REFER
        return removal if scope == "remove" else removal | WRITE_FILE | MAKE_ANY | TRUNCATE
    if stat.S_ISLNK(mode) or scope == "remove":
        return 0
    return WRITE_FILE | TRUNCATE


def _call(number: int, *arguments: object) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
