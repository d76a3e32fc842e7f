"""What looks sensitive, and what only looks like it."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from a3s_code.harness.safety.redaction import CustomPatterns, Redaction, find_values

COVERED = {
    "ssn 123-45-6789.": "ssn [REDACTED:SSN].",
    "bob@example.com": "[REDACTED:EMAIL]",
    "<first.last+tag@mail.example.co.uk>, more": "<[REDACTED:EMAIL]>, more",
    "see...bob@example.com.": "see...[REDACTED:EMAIL].",
    "call +1 (415) 555-2671 now": "call [REDACTED:PHONE] now",
    "tel:+49-171-1234567": "tel:[REDACTED:PHONE]",
    "or +14155552671": "or [REDACTED:PHONE]",
    "+49 171 1234567": "[REDACTED:PHONE]",
    "(415) 555-2671": "[REDACTED:PHONE]",
    "415-555-2671 and 415.555.2671": "[REDACTED:PHONE] and [REDACTED:PHONE]",
    "key=sk-abcdefghij0123456789": "key=[REDACTED:API_KEY]",
    "pk_abcdefghij0123456789ab": "[REDACTED:API_KEY]",
    '"sk-ant-api03-abc_def-ghijklmnopqrst"': '"[REDACTED:API_KEY]"',
    "sk_live_51Habcdefghijklmnop": "[REDACTED:API_KEY]",
    "4111111111111111": "[REDACTED:CC]",
    "card 4111 1111 1111 1111, 5500-0000-0000-0004": "card [REDACTED:CC], [REDACTED:CC]",
    "AKIAIOSFODNN7EXAMPLE": "[REDACTED:AWS_KEY]",
    "token ghp_" + "aB3" * 12: "token [REDACTED:GITHUB_TOKEN]",
    "ghs_" + "x" * 40: "[REDACTED:GITHUB_TOKEN]",
    "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw": "Bearer [REDACTED:JWT]",
    r'{"env": "a\nAKIAIOSFODNN7EXAMPLE"}': r'{"env": "a\n[REDACTED:AWS_KEY]"}',
    r"\tsk-abcdefghij0123456789": r"\t[REDACTED:API_KEY]",
    r"caf\u00e9ghp_" + "aB3" * 12: r"caf\u00e9[REDACTED:GITHUB_TOKEN]",
    "a@b.example,415-555-2671": "[REDACTED:EMAIL],[REDACTED:PHONE]",
}
LEFT = [
    hashlib.sha1(b"x").hexdigest(),
    hashlib.sha256(b"x").hexdigest(),
    str(uuid.UUID(int=2**127 - 1)),
    "123e4567-e89b-12d3-a456-426614174000",
    "4111111111111112",
    "4111 1111 1111 1112",
    "1735689600000000",
    "0.4111111111111111",
    "14111111111111111",
    "v1.2.3-rc.1+20240102123456",
    "2026-11-22T18:04:16.123456+02:00",
    "2026-11-22 18:04:16,123 INFO",
    "+1735689600",
    "+2026-11-22 a line of a diff",
    "@@ -100,7 +100,8 @@ def f():",
    "src/app.py:1204:  total = 5551234567",
    "12-345: text of grep",
    "192.168.100.200:8080 and 10.0.0.1",
    "100-200-3000",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
    "  10   200  3000 file.py",
    "git@github.com:owner/repo.git",
    "pytest==8.3.3 and @pytest.mark.parametrize(1)",
    "npm i react@18.2.0",
    "000-12-3456 987-65-4321 123-45-67890",
    "sk-short and task-abcdefghij0123456789abcdef",
    "AKIA123 xAKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9 alone",
    "ghp_tooshort",
    "0x4155552671 4155552671",
]


@pytest.mark.parametrize("text", COVERED)
def test_what_looks_sensitive_is_covered_by_a_token_of_its_kind(text: str) -> None:
    assert Redaction().clean(text) == COVERED[text]


@pytest.mark.parametrize("text", LEFT)
def test_hashes_ids_versions_times_and_numbers_stay(text: str) -> None:
    assert Redaction().clean(text) is text


def test_values_are_found_with_their_kind() -> None:
    found = list(find_values("bob@example.com, 415-555-2671"))
    assert found == [("email", "bob@example.com"), ("phone", "415-555-2671")]


def test_a_word_is_held_back_until_its_end_is_seen() -> None:
    stream = Redaction().stream()
    assert [stream.feed(piece) for piece in ("mail bob", "@example", ".com", " or not")] == [
        "mail ",
        "",
        "",
        "[REDACTED:EMAIL] or ",
    ]
    assert stream.finish() == "not"


def test_a_word_without_end_is_held_back_only_so_far() -> None:
    stream = Redaction().stream()
    shown = "".join(stream.feed("0123456789abcdef" * 64) for _ in range(60))
    assert 60 * 1024 - len(shown) < 30_000
    assert shown + stream.finish() == "0123456789abcdef" * 64 * 60


def test_custom_patterns_are_covered_line_by_line() -> None:
    custom = CustomPatterns([r"ticket-\d+", "x*"])
    assert custom.clean("a ticket-12\nb xx ticket\n-3") == "a [REDACTED:CUSTOM]\nb [REDACTED:CUSTOM] ticket\n-3"
    assert list(custom.find_values("ticket-12")) == [("custom", "ticket-12")]


def test_custom_patterns_leave_tokens_alone() -> None:
    assert CustomPatterns(["[A-Z]+"]).clean("[REDACTED:EMAIL] AB") == "[REDACTED:EMAIL] [REDACTED:CUSTOM]"


def test_a_custom_pattern_that_is_none_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="left out"):
        custom = CustomPatterns(["(", r"\d{9}"])
    assert custom.clean("( 123456789") == "( [REDACTED:CUSTOM]"
