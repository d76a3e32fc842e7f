"""What every sanitizer with a stream promises."""

from __future__ import annotations

import os
import random
import string
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.harness.safety.redaction import CustomPatterns, Redaction
from a3s_code.harness.safety.sanitize import SanitizerChain, TextSanitizer, adapt
from a3s_code.harness.safety.security import DefaultSecurityProvider
from a3s_code.kernel.ports import StreamSanitizer

SECRETS = (
    "s3cret-value",
    "sk-0123456789",
    "sk-0123456789-long",
    "valuevalue",
    'with"quote\\es',
    "]starts-odd",
    "ends-odd[",
    "x[REDACTED]yzzy12",
    "aaaaaaaa",
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nq83vEjRWeJASNFZ4kBI0\n-----END KEY-----\n",
)


class Shouting:
    """A host's sanitizer: it only cleans."""

    def clean(self, text: str) -> str:
        return text.replace("secret", "SECRET")


SANITIZERS: dict[str, Callable[[], StreamSanitizer]] = {
    "no secrets": TextSanitizer,
    "secrets": lambda: TextSanitizer(SECRETS),
    "patterns": Redaction,
    "custom patterns": lambda: CustomPatterns([r"\bticket-\d+\b", "zz+"]),
    "provider": DefaultSecurityProvider,
    "provider that knows secrets": lambda: DefaultSecurityProvider().knowing(SECRETS),
    "provider with custom patterns": lambda: DefaultSecurityProvider(custom_patterns=["zz+"]).knowing(SECRETS),
    "provider that covers nothing": lambda: DefaultSecurityProvider(output_sanitization=False),
    "chain": lambda: SanitizerChain([TextSanitizer(SECRETS), Redaction()]),
    "a host's own": lambda: adapt(Shouting()),
}
WORDS = (
    *SECRETS,
    *(secret[:6] for secret in SECRETS),
    *(secret[4:] for secret in SECRETS),
    "bob@example.com",
    "bob@example",
    "git@github.com:a/b",
    "123-45-6789",
    "4111 1111 1111 1111",
    "4111-1111-1111-1112",
    "+1 (415) 555-2671",
    "(415) 555-2671",
    "+14155552671",
    "415-555-2671",
    "ticket-123",
    "zzz",
    "secret",
    "sk-" + "a1" * 12,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "Zz9" * 13,
    "eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM",
    "[REDACTED]",
    "[REDACTED:EMAIL]",
    "]",
    "[",
    "\0",
    "\ud83d",
    "\ude00",
    "\U0001f600",
    "\n",
    " ",
    "  ",
    "(",
    ")",
    ".",
    "-",
    "+",
    "@",
    "a",
    "7",
    "42",
    "2026-11-22T18:04:16.123+02:00",
    "word",
    "\u00e9t\u00e9",
)
EXAMPLES = max(60, int(1_000 * float(os.environ.get("A3S_TEST_SCALE", "0.1"))))
TEXTS = st.lists(st.sampled_from(WORDS), max_size=14).map("".join)


@pytest.fixture(params=SANITIZERS)
def sanitizer(request: pytest.FixtureRequest) -> StreamSanitizer:
    return SANITIZERS[request.param]()


def cut(text: str, source: random.Random) -> list[str]:
    """The text in random pieces, many of one character."""
    pieces, place = [], 0
    while place < len(text):
        size = source.choice([1, 1, 1, 2, 3, 5, 8, 40])
        pieces.append(text[place : place + size])
        place += size
    return pieces


@settings(derandomize=True, max_examples=EXAMPLES, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 9))
def test_a_text_in_pieces_comes_out_as_the_whole_does(text: str, seed: int) -> None:
    for name, make in SANITIZERS.items():
        made = make()
        stream = made.stream()
        shown = "".join(stream.feed(piece) for piece in cut(text, random.Random(seed))) + stream.finish()
        assert shown == made.clean(text), name


@settings(derandomize=True, max_examples=EXAMPLES, deadline=None)
@given(text=TEXTS)
def test_cleaning_twice_gives_what_cleaning_once_gives(text: str) -> None:
    for name, make in SANITIZERS.items():
        made = make()
        once = made.clean(text)
        assert made.clean(once) == once, name


@settings(derandomize=True, max_examples=EXAMPLES, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 9))
def test_nothing_that_was_shown_so_far_holds_a_secret(text: str, seed: int) -> None:
    known = [secret for secret in SECRETS if "\n" not in secret]
    for name in ("secrets", "provider that knows secrets", "provider with custom patterns", "chain"):
        stream, shown = SANITIZERS[name]().stream(), ""
        for piece in cut(text, random.Random(seed)):
            shown += stream.feed(piece)
            assert not [secret for secret in known if secret in shown], name
        shown += stream.finish()
        assert not [secret for secret in known if secret in shown], name


ALPHABETS = ("ab", "aB3$", string.ascii_letters + string.digits, string.punctuation, "]D[RETC", "\u00e9\u65e5x")


def test_random_secrets_in_random_places_never_come_through() -> None:
    source = random.Random(11)
    tried = 0
    for _ in range(600):
        alphabet = source.choice(ALPHABETS)
        secrets = ["".join(source.choices(alphabet, k=source.randint(8, 24))) for _ in range(source.randint(1, 3))]
        secrets = [secret for secret in secrets if not is_made_of_tokens(secret)]
        starts = [secret[: source.randint(1, 7)] for secret in secrets]
        words = [*secrets, *starts, "".join(source.choices(alphabet, k=5)), " "]
        parts = source.choices(words, k=9)
        text = "".join(parts)
        made = TextSanitizer(secrets)
        stream, shown = made.stream(), ""
        for piece in cut(text, source):
            shown += stream.feed(piece)
            assert not [secret for secret in secrets if secret in shown]
        shown += stream.finish()
        assert shown == made.clean(text)
        assert made.clean(shown) == shown
        tried += any(secret in text for secret in secrets)
    print(f"random secrets in random places: {tried} tried, 0 lost")
    assert tried > 400


def is_made_of_tokens(secret: str) -> bool:
    """Whether a secret consists of so much of "[REDACTED]" that the rest tells nothing."""
    return len(secret.strip("[]REDACT")) < 8


def test_text_with_nothing_to_clean_stays_as_it_is(sanitizer: StreamSanitizer) -> None:
    text = "def total(items):\n    return sum(item.price for item in items)  # 12 of 34\n\n" * 3
    assert sanitizer.clean(text) is text
    stream = sanitizer.stream()
    assert "".join(map(stream.feed, text)) + stream.finish() == text


@pytest.mark.parametrize("name", ["no secrets", "secrets", "patterns", "provider", "provider that knows secrets"])
def test_a_piece_that_cannot_be_part_of_a_secret_is_shown_at_once(name: str) -> None:
    stream = SANITIZERS[name]().stream()
    assert stream.feed("The tests pass: ") == "The tests pass: "
    assert stream.feed("see `total`.\n") == "see `total`.\n"
    assert stream.finish() == ""


def test_an_empty_piece_and_an_empty_text_are_nothing(sanitizer: StreamSanitizer) -> None:
    assert sanitizer.clean("") == ""
    stream = sanitizer.stream()
    assert stream.feed("") == ""
    assert stream.finish() == ""


def test_a_stream_serves_one_text_after_the_other(sanitizer: StreamSanitizer) -> None:
    stream = sanitizer.stream()
    for text in ("bob@example.com sk-0123456789", "zzz s3cret-va", "lue 415-555-2671"):
        assert stream.feed(text) + stream.finish() == sanitizer.clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a." * 50_000,
        "1 " * 30_000,
        "eyJaaaa." * 10_000,
        "sk-a" * 20_000,
        "a@" * 30_000,
        "a@b." * 20_000,
        "1-" * 30_000,
        "+1" * 30_000,
        "(1" * 30_000,
        "[REDACTED" * 6_000,
        "aaaaaaa " * 8_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_odd_texts_take_no_long_time(text: str) -> None:
    sanitizer = SANITIZERS["provider with custom patterns"]()
    started = time.process_time()
    whole = sanitizer.clean(text)
    stream = sanitizer.stream()
    pieces = [text[place : place + 40] for place in range(0, len(text), 40)]
    assert "".join(map(stream.feed, pieces)) + stream.finish() == whole
    assert time.process_time() - started < 5
