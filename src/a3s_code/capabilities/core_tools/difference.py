"""A short unified diff of two texts."""

from __future__ import annotations

import difflib
import re

from a3s_code.system.text import readable

MAX_ROWS = 60
MAX_LINES = 2000
_HEADER = re.compile(r"@@ -(\d+)(\S*) \+(\d+)")


def short_diff(before: str, after: str, name: str) -> str:
    """What changed, with a line around it, at most MAX_ROWS rows; empty where more than MAX_LINES lines lie between the
    first change and the last."""
    old, new = readable(before).split("\n"), readable(after).split("\n")
    most = min(len(old), len(new))
    first = next((index for index in range(most) if old[index] != new[index]), most)
    same = next((back for back in range(most - first) if old[-1 - back] != new[-1 - back]), most - first)
    start = max(first - 1, 0)
    old, new = old[start : len(old) - same + 1], new[start : len(new) - same + 1]
    if len(old) + len(new) > MAX_LINES:
        return ""

    def move(header: re.Match[str]) -> str:
        return f"@@ -{int(header[1]) + start}{header[2]} +{int(header[3]) + start}"

    rows = [_HEADER.sub(move, row, count=1) if row.startswith("@@") else row for row in _unified(old, new, name)]
    return "\n".join(rows if len(rows) <= MAX_ROWS else [*rows[:MAX_ROWS], f"[{len(rows) - MAX_ROWS} more rows]"])


def _unified(old: list[str], new: list[str], name: str) -> list[str]:
    return list(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=1, lineterm=""))
