"""What a session knows of a file, against what is on the disk."""

from __future__ import annotations

from collections.abc import Callable

from a3s_code.capabilities.core_tools.place import Failed
from a3s_code.kernel.tool import ToolContext
from a3s_code.system.files import digest
from a3s_code.system.paths import Resolved


def require_unchanged(context: ToolContext, place: Resolved, content: bytes, hint: Callable[[], str] = str) -> None:
    """Raises Failed, with the text of `hint` added, where this session saw the file with another content.

    A file that was never seen passes: an edit proves by its old text what it is about, and a write replaces all.
    """
    known = context.files.get(str(place.real))
    if known is not None and known != (found := digest(content)):
        text = f"{place.given} was changed since it was read, by a command or by somebody else. Read it again.{hint()}"
        raise Failed(text, "version_conflict", expected=known, found=found)
