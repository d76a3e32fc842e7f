"""Every way a model call can fail, as one of our errors: what happened, where, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from a3s_code.errors import (
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelProtocolError,
    ModelRateLimit,
    ModelRequestError,
    ModelTimeout,
    ModelUnavailable,
)
from a3s_code.providers.endpoint import LOCAL, ModelEndpoint

_OVERFLOW_HINT = "the conversation no longer fits into the model's context window: compact it"
_EXCERPT = 600
_STATUS_BY_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "context_length_exceeded": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_QUOTA = re.compile(
    r"insufficient_quota|current[ _]quota|billing_|billing details|credit balance"
    r"|insufficient (?:balance|credit|fund)|余额不足",
    re.IGNORECASE,
)
# Providers call what is used up for this minute a quota too, but then they say when there is more.
_RENEWED = re.compile(r"(?:retry|try again) (?:in|after) \d", re.IGNORECASE)
_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|prompt is too long|maximum context|context window|context length"
    r"|available context size|reduce the length of the|too many tokens in the (?:prompt|request)"
    r"|too many (?:\w+ )?images",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def from_status(endpoint: ModelEndpoint, status: int, headers: Mapping[str, str], body: Any) -> ModelError:
    """The error for a response whose status is no success; `body` is its JSON value or its text."""
    kind, text = _said(body)
    where = f"{endpoint.name} answered {status}"
    if "location" in headers and 300 <= status < 400:
        text = f"a redirect to {headers['location']}"
    return _build(endpoint, status, kind, f"{where}: {text}" if text else where, headers)


def from_report(endpoint: ModelEndpoint, payload: Any, headers: Mapping[str, str]) -> ModelError:
    """The error for an error object that came with status 200, in a stream or as the whole body."""
    kind, text = _said(payload)
    status = _status_of(payload) or _STATUS_BY_TYPE.get(kind)
    message = f"{endpoint.name} reported an error: {text or kind or 'no reason given'}"
    if status is None:
        return broken(endpoint, message, headers)
    error = _build(endpoint, status, kind, message, headers)
    error.status = 200
    return error


def broken(endpoint: ModelEndpoint, message: str, headers: Mapping[str, str]) -> ModelProtocolError:
    """An answer that cannot be taken for a reply."""
    return ModelProtocolError(
        endpoint.redact(message), provider=endpoint.provider, status=200, request_id=request_id(headers)
    )


def excerpt(data: bytes) -> str:
    """The first words of an answer that is no JSON, without markup."""
    return _without_markup(data[: 8 * _EXCERPT].decode("utf-8", "replace"))


def timed_out(endpoint: ModelEndpoint, patience: float, *, answering: bool) -> ModelTimeout:
    """No first token, or silence in a stream, for `patience` seconds."""
    what = "fell silent" if answering else "gave no first token"
    return ModelTimeout(
        f"{endpoint.name} at {endpoint.shown_url} {what} for {patience:g} s",
        provider=endpoint.provider,
        hint="raise llm_api_timeout_ms if the model is just slow",
    )


def from_transport(endpoint: ModelEndpoint, kind: str, detail: str, *, answering: bool) -> ModelError:
    """The error for a connection that failed; `kind` is one of those that `clients.transport_failure` names."""
    where = f"{endpoint.name} at {endpoint.shown_url}"
    provider = endpoint.provider
    detail = endpoint.redact(_shorten(detail))
    if kind == "timeout":
        return ModelTimeout(
            f"{where} did not accept a connection in time", provider=provider, hint="check base_url and network"
        )
    if kind == "garbage":
        return ModelProtocolError(
            f"{where} does not answer in HTTP as it should: {detail}", provider=provider, hint="check base_url"
        )
    if answering:
        return ModelProtocolError(f"{where} cut its answer off: {detail or 'the connection broke'}", provider=provider)
    hint = "is the server running there?" if provider in LOCAL or endpoint.loopback else "check base_url and network"
    return ModelUnavailable(f"cannot reach {where}: {detail or 'the connection broke'}", provider=provider, hint=hint)


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of a request, from the headers of its response."""
    return headers.get("request-id") or headers.get("x-request-id")


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds a response asks to wait: `retry-after-ms`, or `retry-after` as seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _build(endpoint: ModelEndpoint, status: int, kind: str, message: str, headers: Mapping[str, str]) -> ModelError:
    message = endpoint.redact(message)
    provider, number = endpoint.provider, request_id(headers)
    said = f"{kind} {message}"
    if status in (402, 429):
        exhausted = status == 402 or bool(_QUOTA.search(said) and not _RENEWED.search(message))
        return ModelRateLimit(
            message,
            provider=provider,
            status=status,
            request_id=number,
            retry_after=retry_after(headers),
            retryable=not exhausted,
            hint=f"the quota of {provider} is used up: add credit or raise the limit there"
            if exhausted
            else "wait, or ask less often",
        )
    hint = _hint(endpoint, status)
    if status in (408, 409) or status >= 500:
        return ModelUnavailable(
            message,
            provider=provider,
            status=status,
            request_id=number,
            retry_after=retry_after(headers),
            hint=hint,
        )
    failure: type[ModelError] = ModelAuthError if status in (401, 403) else ModelRequestError
    if status == 413 or (status in (400, 422) and _OVERFLOW.search(said)):
        failure, hint = ContextOverflow, hint or _OVERFLOW_HINT
    return failure(message, provider=provider, status=status, request_id=number, hint=hint)


def _hint(endpoint: ModelEndpoint, status: int) -> str | None:
    if status == 401:
        return f"give a valid key of {endpoint.provider} in {endpoint.variable}"
    if status == 403:
        return f"the key in {endpoint.variable} has no right to this model"
    if status == 404:
        return f"check the model name {endpoint.model!r} and base_url {endpoint.shown_url}"
    if status == 413:
        return "the request is too large: compact the conversation, or send less and smaller images"
    if status in (301, 302, 303, 307, 308):
        return "write the address it redirects to as base_url"
    if status >= 500:
        return f"{endpoint.provider} is in trouble: try again later"
    return None


def _said(body: Any) -> tuple[str, str]:
    """The kind and the words of an error body, in any of the shapes that providers use."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        error = body.get("error", body)
        if isinstance(error, dict):
            kind = next((str(error[key]) for key in ("type", "code", "status") if _named(error.get(key))), "")
            words = next((error[key] for key in ("message", "detail", "error", "msg") if error.get(key)), "")
            code = error.get("code")
            extra = f" [{code}]" if _named(code) and str(code) != kind else ""
            return kind, _shorten(words if isinstance(words, str) else str(words)) + extra
        return "", _shorten(str(error))
    return "", _without_markup(str(body or ""))


def _named(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value != "error"


def _status_of(payload: Any) -> int | None:
    error = payload.get("error", payload) if isinstance(payload, dict) else None
    if not isinstance(error, dict):
        return None
    for key in ("code", "status", "status_code"):
        value = error.get(key)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None


def _without_markup(text: str) -> str:
    # Cut first: what looks like the beginning of very many tags takes minutes to search.
    text = text[: 8 * _EXCERPT]
    return _shorten(_TAG.sub(" ", text) if "<" in text else text)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + " ..."
