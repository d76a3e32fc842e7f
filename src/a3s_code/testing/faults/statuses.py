"""Answers whose status is no success, or whose success is only claimed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from a3s_code.testing.faults.fault import FOREVER, Fault, Outcome, Truth
from a3s_code.testing.server import Canned, Response

_WAIT_SECONDS = 30
_PAGE = b"<html><head><style>p {}</style></head><body><h1>502 Bad Gateway</h1></body></html>"
_REFUSED = (400, 401, 402, 403, 404, 405, 413, 418, 422)
_RETRYABLE = (408, 409, 429, 500, 502, 503, 504, 520, 529)


def error(kind: str, message: str, status: int = 200, **headers: str) -> Canned:
    """An error in the words that both wire formats have for one."""
    return Canned.json({"type": "error", "error": {"type": kind, "message": message}}, status, **headers)


def _status(status: int) -> Callable[[Truth], Response]:
    return lambda truth: error("api_error", "the server says no", status)


def _waiting(status: int, **headers: str) -> Callable[[Truth], Response]:
    return lambda truth: error("rate_limit_error", "slow down", status, **headers)


def _until(status: int) -> Callable[[Truth], Response]:
    def answer(truth: Truth) -> Response:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=_WAIT_SECONDS), usegmt=True)
        return error("rate_limit_error", "slow down", status, retry_after=date)

    return answer


def _plainly(status: int, outcome: Outcome) -> Fault:
    return Fault(f"status_{status}", outcome, f"The server answers {status}.", _status(status))


STATUSES: tuple[Fault, ...] = (
    *(_plainly(status, "refused") for status in _REFUSED),
    *(_plainly(status, "retryable") for status in _RETRYABLE),
    Fault(
        "redirect",
        "refused",
        "The server sends the request elsewhere.",
        lambda truth: Canned(status=307, headers={"location": "https://elsewhere.invalid/v1"}),
    ),
    Fault("status_502_page", "retryable", "A proxy's page.", lambda truth: Canned(_PAGE, 502, "text/html")),
    Fault("status_500_empty", "retryable", "A failure without a word.", lambda truth: Canned(status=500)),
    Fault(
        "status_503_cut",
        "retryable",
        "The words of a failure are cut.",
        lambda t: Canned(b'{"error": "ov', 503, cut=True),
    ),
    Fault(
        "status_529_silent",
        "retryable",
        "The words of a failure never come.",
        lambda truth: Canned(status=529, chunks=[b'{"error": "ov', FOREVER]),
    ),
    Fault("rate_limit", "retryable", "Ask again in 7 seconds.", _waiting(429, retry_after="7"), retry_after=7.0),
    Fault("rate_limit_ms", "retryable", "Ask again in 1500 ms.", _waiting(429, retry_after_ms="1500"), retry_after=1.5),
    Fault("rate_limit_until", "retryable", "Ask again at a date.", _until(429), retry_after=float(_WAIT_SECONDS)),
    Fault(
        "rate_limit_for_long",
        "retryable",
        "Ask again in 10 minutes.",
        _waiting(429, retry_after="600"),
        retry_after=600,
    ),
    Fault("overload", "retryable", "Busy, ask again in 3 seconds.", _waiting(503, retry_after="3"), retry_after=3.0),
    Fault("overload_until", "retryable", "Busy until a date.", _until(503), retry_after=float(_WAIT_SECONDS)),
    Fault(
        "quota_exhausted",
        "refused",
        "The account has no credit left.",
        lambda truth: error("insufficient_quota", "You exceeded your current quota, check your billing details", 429),
    ),
    Fault(
        "context_overflow",
        "refused",
        "The conversation is too long for the model.",
        lambda truth: error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", 400),
    ),
    Fault(
        "error_body", "retryable", "An error with status 200.", lambda truth: error("overloaded_error", "Overloaded")
    ),
    Fault(
        "error_body_refused",
        "refused",
        "A refusal with status 200.",
        lambda truth: error("invalid_request_error", "no such field"),
    ),
    Fault("error_body_bare", "retryable", "One word as error.", lambda truth: Canned.json({"error": "busy"})),
    Fault(
        "error_body_with_code",
        "retryable",
        "An error with status 200 that names another status.",
        lambda truth: Canned.json({"error": {"code": 502, "message": "upstream died"}}),
    ),
)
