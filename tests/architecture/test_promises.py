"""docs/reference/promises.md names only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "promises.md"


def rows() -> list[tuple[str, str]]:
    found = re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    return [(promise, proof) for promise, proof in found if promise not in ("promise", "---")]


def test_the_page_lists_promises() -> None:
    assert len(rows()) > 30


def test_every_named_test_exists() -> None:
    missing = []
    for promise, proof in rows():
        if proof == "open":
            continue
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", proof)
        if not named:
            missing.append(f"{promise}: {proof!r} names no test and is not open")
        for file, test in named:
            path = TESTS / file
            defined = (
                {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)}
                | {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
                if path.exists()
                else set()
            )
            if test not in defined:
                missing.append(f"{promise}: {file}::{test}")
    assert not missing
