"""`a3s-code trust`: shows the configuration that a workspace brings, and asks whether it may act."""

from __future__ import annotations

import argparse
import os
import sys
import termios
from pathlib import Path

from a3s_code.api.confirmers import escape
from a3s_code.api.vouching import open_workspace, survey_workspace, trust_store
from a3s_code.cli.command import Command
from a3s_code.harness.trust import Survey
from a3s_code.system.files import read_bytes

SHOWN_LINES = 40
MOST_READ = 1_048_576
REFUSED = 1


def run(arguments: argparse.Namespace) -> int:
    """Trust the workspace once the person at the terminal says yes, or --yes was given; 1 where nobody did."""
    store = trust_store()
    if arguments.revoke:
        folder = Path(os.path.realpath(arguments.path.expanduser()))
        known = store.revoke(folder)
        print(f"{escape(str(folder))} {'is not trusted any more' if known else 'was not trusted'}.")
        return 0
    folder = open_workspace(arguments.path)
    found = survey_workspace(folder)
    if not found.files and not found.fault:
        print(f"{escape(str(folder))} brings no configuration; there is nothing to trust.")
        return 0
    if store.trusts(found):
        print(f"{escape(str(folder))} is trusted as it is.")
        return 0
    _show(found)
    if not arguments.yes and not _ask():
        print("Not trusted; nothing of it will act.", file=sys.stderr)
        return REFUSED
    # What was looked through before it was shown: should it have changed since, nothing is trusted.
    store.trust(found)
    print(f"Trusted: {len(found.files)} file(s), until one of them changes.")
    return 0


def _show(found: Survey) -> None:
    """Print what is to be trusted. Characters that could forge the picture are escaped."""
    print(
        f"{escape(str(found.workspace))} brings configuration that may start programs, allow calls, choose addresses:"
    )
    for name in found.files:
        path = found.workspace / name
        leads = f" -> {escape(os.path.realpath(path))}" if path.is_symlink() else ""
        print(f"\n  {escape(name)}{leads}")
        lines = _read_lines(path)
        for line in lines[:SHOWN_LINES]:
            print(f"    {escape(line)}")
        if len(lines) > SHOWN_LINES:
            print(f"    ... {len(lines) - SHOWN_LINES} more lines")


def _read_lines(path: Path) -> list[str]:
    real = Path(os.path.realpath(path))
    if not real.is_file():
        return ["(no file)"]
    try:
        return read_bytes(real, MOST_READ).decode("utf-8", "replace").splitlines()
    except OSError as error:
        return [f"({error.strerror or error})"]


def _ask() -> bool:
    if not sys.stdin.isatty():
        print("There is no terminal to ask at; look at it, and use --yes.", file=sys.stderr)
        return False
    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before is no answer to this
    try:
        return input("\nTrust it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=Path, default=Path(), help="the workspace; default: this folder")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--revoke", action="store_true", help="take the trust back")


COMMAND = Command("trust", "Let the configuration that a workspace brings act.", _declare, run)
