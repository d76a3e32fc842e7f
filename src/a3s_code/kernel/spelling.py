"""How a call's arguments are written down: the text that is shown, and the digest that says it is the same call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

SHOWN_BYTES = 2_048
TOO_DEEP = "[nested too deep to be shown]"
"""Stands for arguments that cannot be copied either, so that no call of them is ever made."""

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


class Spelling:
    """Arguments as JSON text with sorted keys: `shown` cleaned and shortened, `digest` the SHA-256 of the whole.

    Arguments that were no JSON object are given as the text they were.
    """

    __slots__ = ("digest", "shown")

    def __init__(self, arguments: Mapping[str, Any] | str, clean: Callable[[str], str]) -> None:
        whole = arguments if isinstance(arguments, str) else _spell(arguments)
        self.digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
        shown = clean(whole).encode("utf-8", "replace")
        if len(shown) > SHOWN_BYTES:
            shown = shown[: SHOWN_BYTES - 3] + "…".encode()
        self.shown = shown.decode("utf-8", "ignore")


def _spell(arguments: Mapping[str, Any]) -> str:
    try:
        try:
            return _JSON.encode(arguments)
        except (TypeError, ValueError):
            return repr(arguments)
    except RecursionError:
        return TOO_DEEP
