"""A text file as it is before a change of part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from a3s_code.capabilities.core_tools.conflict import require_unchanged
from a3s_code.capabilities.core_tools.place import Failed, shown
from a3s_code.kernel.tool import ToolContext
from a3s_code.system import files
from a3s_code.system.files import FileTooLarge, read_bytes
from a3s_code.system.paths import Resolved
from a3s_code.system.text import TextFormat, decode, is_binary

MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Original:
    """`name` is the path as the model should write it, `digest` that of `content`, `form` how `text` lies in it."""

    name: str
    content: bytes
    digest: str
    text: str
    form: TextFormat

    def encode(self, text: str) -> bytes:
        """The bytes of `text` in the manner of this file; raises Failed for what its encoding cannot hold."""
        try:
            return self.form.encode(text)
        except UnicodeEncodeError as error:
            character = ascii(error.object[error.start])
            reason = f"{self.name} is in {self.form.encoding}, which cannot hold {character}; nothing was changed"
            raise Failed(reason, "invalid_argument") from None


def load(context: ToolContext, place: Resolved, hint: Callable[[str], str]) -> Original:
    """The text at `place`; raises Failed where it is none, too large, or not what this session last saw, with the text
    of `hint`, which gets the text as it is now. Raises OSError as read_bytes does."""
    name = shown(context, place)
    try:
        content = read_bytes(place.real, MAX_BYTES)
    except FileTooLarge as large:
        raise Failed(f"{name} is too large to change: {large}", "unsupported") from None
    if is_binary(content):
        raise Failed(f"{name} is a binary file; only text can be changed in part", "unsupported")
    decoded = decode(content)
    require_unchanged(context, place, content, lambda: hint(decoded.text))
    return Original(name, content, files.digest(content), decoded.text, decoded.format)


def note_links(links: int) -> str:
    """What has to be said of a replaced file that had `links` other names."""
    if not links:
        return ""
    names = "another name" if links == 1 else f"{links} other names"
    return f". It had {names} by hard link, which kept the old content"
