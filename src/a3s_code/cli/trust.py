"""`a3s-code trust`: shows the configuration that a workspace brings, and asks whether it may act."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from a3s_code.api.vouching import trust_store, trust_workspace
from a3s_code.cli.command import Command
from a3s_code.errors import WorkspaceError
from a3s_code.harness.trust import Survey, survey

SHOWN_LINES = 40
REFUSED = 1


def run(arguments: argparse.Namespace) -> int:
    """Trust the workspace once the person at the terminal says yes, or --yes was given; 1 where nobody did."""
    folder = _folder(arguments.path)
    store = trust_store()
    if arguments.revoke:
        known = store.revoke(folder)
        print(f"{folder} is not trusted any more." if known else f"{folder} was not trusted.")
        return 0
    found = survey(folder)
    if not found.files and not found.fault:
        print(f"{folder} brings no configuration; there is nothing to trust.")
        return 0
    if store.trusts(found):
        print(f"{folder} is trusted as it is.")
        return 0
    _show(found)
    if not arguments.yes and not _ask():
        print("Not trusted; nothing of it will act.", file=sys.stderr)
        return REFUSED
    trust_workspace(folder)
    print(f"Trusted: {len(found.files)} file(s), until one of them changes.")
    return 0


def _folder(given: Path) -> Path:
    try:
        folder = given.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise WorkspaceError(f"{str(given)!r} cannot be opened: {error}", hint="name the workspace's folder") from error
    if not folder.is_dir():
        raise WorkspaceError(f"{str(given)!r} is no folder", hint="name the workspace's folder")
    return folder


def _show(found: Survey) -> None:
    """Print what is to be trusted. Characters that could forge the picture are escaped."""
    print(f"{found.workspace} brings configuration that may start programs, allow calls and choose addresses:")
    for name in found.files:
        print(f"\n  {_safe(name)}")
        try:
            lines = (found.workspace / name).read_text("utf-8", "replace").splitlines()
        except OSError as error:
            lines = [f"({error.strerror})"]
        for line in lines[:SHOWN_LINES]:
            print(f"    {_safe(line)}")
        if len(lines) > SHOWN_LINES:
            print(f"    ... {len(lines) - SHOWN_LINES} more lines")


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _ask() -> bool:
    if not sys.stdin.isatty():
        print("There is no terminal to ask at; look at it, and use --yes.", file=sys.stderr)
        return False
    try:
        return input("\nTrust it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=Path, default=Path(), help="the workspace; default: this folder")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--revoke", action="store_true", help="take the trust back")


COMMAND = Command("trust", "Let the configuration that a workspace brings act.", _declare, run)
