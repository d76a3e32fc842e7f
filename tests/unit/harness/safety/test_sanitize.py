"""Cleaning text on its way out."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.harness.safety.sanitize import LONGEST_LINE, TextSanitizer, adapt, known_secrets


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


@pytest.mark.parametrize(
    "written",
    [
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(f"user:{secret}@host".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"ab{secret}".encode()).decode(),
        lambda secret: quote(secret, safe=""),
        lambda secret: json.dumps({"key": secret}),
        lambda secret: json.dumps({"key": secret}, ensure_ascii=False),
        lambda secret: f'<a title="{html.escape(secret)}">',
    ],
)
def test_a_secret_is_found_as_it_is_spelled_elsewhere(written: Callable[[str], str]) -> None:
    secret = 'p"ss/w\u00f6rd+>?~&1'
    text = written(secret)
    cleaned = TextSanitizer([secret]).clean(text)
    assert "[REDACTED]" in cleaned
    assert len(cleaned.replace("[REDACTED]", "")) < len(text) - len(secret) + 4


def test_the_lines_of_a_long_secret_are_found_one_by_one() -> None:
    lines = ["-----BEGIN KEY-----", "MIIEvQIBADANBgkqhkiG9w0", "q83vEjRWeJASNFZ4kBI0", "-----END KEY-----"]
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(lines, 1))
    assert TextSanitizer(["\n".join(lines)]).clean(numbered) == (
        "1: -----BEGIN KEY-----\n2: [REDACTED]\n3: [REDACTED]\n4: -----END KEY-----"
    )


def test_overlapping_secrets_are_covered_together() -> None:
    assert TextSanitizer(["abcdefgh", "ghijklmn"]).clean("-abcdefghijklmn-") == "-[REDACTED]-"


def test_a_secret_that_is_a_part_of_the_token_does_not_break_the_token() -> None:
    assert TextSanitizer(["REDACTED", "s3cret-value"]).clean("s3cret-value") == "[REDACTED]"


def test_only_what_may_begin_a_secret_is_held_back() -> None:
    stream = TextSanitizer(["s3cret-value"]).stream()
    assert [stream.feed(piece) for piece in ("it is s", "3cret", "-volume ", "s3cret-val", "ue.")] == [
        "it is ",
        "",
        "s3cret-volume ",
        "",
        "[REDACTED].",
    ]
    assert stream.finish() == ""


def test_a_stream_without_secrets_gives_each_piece_back_as_the_same_object() -> None:
    stream = TextSanitizer().stream()
    piece = "any \u00e9 piece"
    assert stream.feed(piece) is piece


def test_a_host_s_sanitizer_gets_a_stream_of_whole_lines() -> None:
    class Numbers:
        def clean(self, text: str) -> str:
            return re.sub(r"\d+", "N", text)

    adapted = adapt(Numbers())
    assert adapted.clean("1 and 22") == "N and N"
    stream = adapted.stream()
    assert [stream.feed("a 1"), stream.feed("2\nb 3\nc 4"), stream.finish()] == ["", "a N\nb N\n", "c N"]
    assert len(stream.feed("x" * 40_000)) == 2 * LONGEST_LINE


def test_a_sanitizer_with_a_stream_stays_as_it_is() -> None:
    sanitizer = TextSanitizer()
    assert adapt(sanitizer) is sanitizer


SECRET_VARIABLES = {
    "ANTHROPIC_API_KEY": "sk-ant-x91Zq7",
    "openai_apikey": "abcDEF123456",
    "GH_TOKEN": "gho_16charsormore",
    "DB_PASSWORD": "c0rrect-h0rse",
    "MYSQL_PWD": "xK9#mQ2$",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "SMTP_PASS": "tr0ub4dor&3",
    "HTTP_AUTH": "alice:9f8e7d6c5b",
    "GOOGLE_CREDENTIALS": '{"private_key": "-----BEGIN-----"}',
    "VAULT_PASSPHRASE": "correct-horse-battery-staple",
    "SESSION_COOKIE": "a81f9b2c77d0",
}
OPEN_VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin",
    "HOME": "/home/someone",
    "PWD": "/home/someone/work-2024",
    "OLDPWD": "/home/someone/x91",
    "SSH_AUTH_SOCK": "/tmp/ssh-XXXXyG7f2K/agent.4242",
    "KEYBOARD_LAYOUT": "dvorak-2a9f",
    "TOKENIZERS_PARALLELISM": "false",
    "TOKEN_ENDPOINT": "https://login.example.com/oauth2/token",
    "AUTH_METHOD": "client_secret_basic",
    "DB_PASSWORD": "postgres",
    "API_KEY": "short12",
    "TOKEN_TTL": "1735689600",
    "SECRET_LIFETIME": "86400000",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/keys/key-91ab.json",
    "HTTP_PROXY": "http://proxy.example.com:3128",
    "LANG": "en_US.UTF-8",
    "MONKEY": "banana42xyz",
}


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_values_of_variables_named_like_secrets_are_known(name: str) -> None:
    assert known_secrets({name: SECRET_VARIABLES[name]}) == {SECRET_VARIABLES[name]}


@pytest.mark.parametrize("name", OPEN_VARIABLES)
def test_paths_addresses_words_and_other_variables_are_not(name: str) -> None:
    assert known_secrets({name: OPEN_VARIABLES[name]}) == set()


def test_passwords_in_addresses_are_known_and_nothing_else_of_them() -> None:
    environ = {"DATABASE_URL": "postgres://app:p%40ss-w0rd9@db.example.com/main?sslmode=require"}
    assert known_secrets(environ) == {"p%40ss-w0rd9", "p@ss-w0rd9"}
