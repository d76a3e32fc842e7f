"""Cleaning text on its way out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.harness.safety.sanitize import TextSanitizer


def test_text_with_nothing_to_clean_comes_back_as_the_same_object() -> None:
    sanitizer = TextSanitizer(["sk-0123456789"])
    for text in ("plain", "h\u00e9llo \u65e5\u672c \U0001f600", ""):
        assert sanitizer.clean(text) is text


@pytest.mark.parametrize("code", [0, 0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_what_no_request_can_carry_is_replaced(code: int) -> None:
    assert TextSanitizer().clean(f"a{chr(code)}b") == "a\ufffdb"


def test_each_of_a_row_of_them_is_replaced_by_one_character() -> None:
    assert TextSanitizer().clean("\0\0x\ud83d\ude00\ud800") == "\ufffd\ufffdx\ufffd\ufffd\ufffd"


def test_secrets_are_taken_out_wherever_they_stand() -> None:
    sanitizer = TextSanitizer(["sk-0123456789", "sk-0123456789-long"])
    text = 'key=sk-0123456789 {"k":"sk-0123456789-long"} sk-0123456789sk-0123456789'
    assert sanitizer.clean(text) == 'key=[REDACTED] {"k":"[REDACTED]"} [REDACTED][REDACTED]'


def test_short_values_are_left_since_they_would_match_by_chance() -> None:
    assert TextSanitizer(["", "test", "1234567"]).clean("a test of 1234567") == "a test of 1234567"


def test_a_secret_is_taken_literally() -> None:
    assert TextSanitizer(["a.b*c(d)[e"]).clean("a.b*c(d)[e aXb*c(d)[e") == "[REDACTED] aXb*c(d)[e"


def test_its_repr_does_not_tell_the_secrets() -> None:
    assert "0123456789" not in repr(TextSanitizer(["sk-0123456789"]))


TEXTS = st.text(st.sampled_from("ab]D[RETC\0\ud800\u00e9"), max_size=40)


@settings(derandomize=True, max_examples=500)
@given(TEXTS, st.lists(st.text("ab]D[RETC", min_size=8, max_size=12), max_size=3))
def test_cleaning_is_idempotent_and_always_gives_valid_text(text: str, secrets: list[str]) -> None:
    sanitizer = TextSanitizer(secrets)
    once = sanitizer.clean(text)
    assert sanitizer.clean(once) == once
    assert "\0" not in once
    assert json.loads(json.dumps(once, ensure_ascii=False).encode()) == once


@settings(derandomize=True, max_examples=200)
@given(st.text("xyz ", max_size=20), st.text("xyz ", max_size=20))
def test_no_known_secret_survives(before: str, after: str) -> None:
    secret = "s3cret-value"
    assert secret not in TextSanitizer([secret]).clean(f"{before}{secret}{after}{secret}")
