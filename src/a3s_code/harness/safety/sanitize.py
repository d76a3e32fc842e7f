"""Cleans text on its way to the model, the events and the artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "[REDACTED]"
MIN_SECRET = 8

_SURROGATES = re.compile("[\ud800-\udfff]+")


class TextSanitizer:
    """Makes text valid UTF-8 without NUL, and takes known secrets out of it.

    A NUL or half a surrogate pair becomes U+FFFD, each of `secrets` becomes `[REDACTED]`. Secrets under 8 characters
    are left, for they would match by chance. Cleaning twice gives what cleaning once gives; text with nothing to clean
    comes back as the same object.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {_make_sendable(secret) for secret in secrets if len(secret) >= MIN_SECRET}
        # A secret that a row of the replacements contains would be found again for ever.
        lasting = [secret for secret in known if secret not in REDACTED * (len(secret) // len(REDACTED) + 2)]
        longest_first = sorted(lasting, key=lambda secret: (-len(secret), secret))
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if lasting else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def clean(self, text: str) -> str:
        """The text, ready to be sent and stored; may be called from any thread."""
        text = _make_sendable(text)
        secrets = self._secrets
        while secrets is not None and secrets.search(text) is not None:
            text = secrets.sub(REDACTED, text)
        return text


def _make_sendable(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()  # many times as fast as a search
    except UnicodeEncodeError:
        return _SURROGATES.sub(lambda found: "\ufffd" * len(found[0]), text)
    return text
