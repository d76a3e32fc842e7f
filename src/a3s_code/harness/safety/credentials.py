"""Which values of an environment are secrets, and how a secret may be spelled."""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from urllib.parse import quote, quote_plus, unquote

MIN_LENGTH = 8
MIN_BITS = 20
LONG_WORDS = 20
LONG_NUMBER = 16
MIN_LINE = 16

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?)?KEYS?(?:_ID|_B64|_BASE64|_\d+)?$|APIKEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL"
    r"|PRIVATE_?KEY|ACCESS_?KEY|AUTHORIZATION|BEARER|COOKIE|(?:^|_)(?:PASS|PAT|AUTH|OAUTH)(?:$|_)|_PWD$",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(
    r"_(?:URL|URI|ENDPOINT|HOST|PORT|PATH|FILE|DIR|HOME|USER|USERNAME|NAME|TYPE|METHOD|MODE|TTL|EXPIRY|EXPIRES|TIMEOUT"
    r"|SOCK|REGION|PROFILE|ALGORITHM|SCOPES?|PROVIDER|VERSION|ENABLED|DISABLED)$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#\s]*)@")
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_PATH = re.compile(r"(?:~|\.{0,2})/|[A-Za-z]:\\")
_WORDS = re.compile(r"[^\W\d_]+(?:[-_. ,:][^\W\d_]+)*")


def known_secrets(environ: Mapping[str, str]) -> set[str]:
    """The secret values in an environment: of variables named like one, and passwords in URLs.

    Values under 8 characters, paths, addresses, ordinary words and numbers are left out: covering them would
    spoil text that tells nothing.
    """
    found: set[str] = set()
    for name, value in environ.items():
        passwords = set(_passwords(value))
        found.update(passwords)
        if not passwords and _SECRET_NAME.search(name) and not _PLAIN_NAME.search(name):
            found.add(value.strip())
    return {value for value in found if _is_secret(value)}


def spell(secret: str) -> Iterator[str]:
    """The secret as it is and as it may stand in other texts: encoded, escaped, its long lines alone."""
    yield secret
    yield from (line.strip() for line in _long_lines(secret))
    for escaped in (
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        *_quoted(secret),
    ):
        if escaped != secret:
            yield escaped
    yield from _encoded(secret)


def _long_lines(secret: str) -> Iterable[str]:
    if "\n" not in secret:
        return ()
    return (line for line in secret.splitlines() if len(line.strip()) >= MIN_LINE and not line.startswith("-----"))


def _quoted(secret: str) -> tuple[str, ...]:
    try:
        return quote(secret, safe=""), quote_plus(secret), quote(secret)
    except UnicodeEncodeError:
        return ()


def _encoded(secret: str) -> Iterator[str]:
    """Base64 of any text that holds the secret: what does not depend on its surroundings, for each of three phases."""
    data = secret.encode("utf-8", "replace")
    for phase in range(3):
        whole = base64.b64encode(bytes(phase) + data).decode()
        start = math.ceil(phase * 8 / 6)
        inner = whole[start : (phase + len(data)) * 8 // 6]
        yield inner
        if set("+/") & set(inner):
            yield inner.translate(str.maketrans("+/", "-_"))


def _passwords(value: str) -> Iterator[str]:
    if "@" not in value:
        return
    for userinfo in _USERINFO.findall(value):
        _, colon, password = userinfo.partition(":")
        if colon:
            yield password
            yield unquote(password)


def _is_secret(value: str) -> bool:
    if len(value) < MIN_LENGTH or _PATH.match(value) or _ADDRESS.match(value):
        return False
    if value.isdigit():
        return len(value) >= LONG_NUMBER
    if _WORDS.fullmatch(value) and not _is_mixed(value):
        return len(value) >= LONG_WORDS
    return _bits(value) >= MIN_BITS


def _is_mixed(value: str) -> bool:
    """Whether case changes inside its words more often than names do."""
    changes = sum(left.islower() and right.isupper() for left, right in pairwise(value))
    return changes >= 3


def _bits(value: str) -> float:
    """How much the value tells, by the frequency of its characters."""
    size = len(value)
    return -sum(count * math.log2(count / size) for count in Counter(value).values())
