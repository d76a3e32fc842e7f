"""Every exception of the library, in one tree.

A3SError
├── ConfigError              a configuration that cannot be used: file, line, column, key and what to write instead
│   ├── AclError             ACL text that does not parse; `.diagnostic` holds code, span and hint
│   ├── ConfigNotFound       no configuration where one was looked for
│   └── MissingCredential    a provider without its key; names the variable
├── UsageError               a call that the library cannot carry out as written
│   ├── InvalidOption        an option of the wrong type or range; names the field
│   ├── InvalidRequest       an empty prompt, a dict without one, an attachment that cannot be read
│   ├── WorkspaceError       a workspace that is missing, not a folder or not readable
│   ├── InvalidRule          a permission rule that would match nothing
│   ├── SessionBusy          a second send while one runs
│   ├── SessionClosed        a verb on a closed session or agent
│   ├── UnknownRun           a run id that this session never began
│   ├── RunNotResumable      a run that cannot be gone on with: it is complete, goes on, or others came after it
│   ├── UnknownSession       a session id that the store does not hold
│   ├── SessionExists        a new session under an id that the store holds already
│   └── SessionInUse         a session that somebody has open; names the process
├── ToolError                a direct call of a tool that failed; `.result` is the ToolResult
├── ArgumentError            arguments that do not fit a tool's schema; the model sees it as an Observation
├── ModelError               a model call that gave no reply: provider, status, request id, retryable
│   ├── ModelAuthError       the key was refused, or has no right to this model (401, 403)
│   ├── ModelRequestError    the provider refused the request (400, 404, 413, 422)
│   │   └── ContextOverflow  the conversation is too long for the model
│   ├── ModelRateLimit       too many requests, or the quota is used up (429)
│   ├── ModelUnavailable     no connection, or the provider failed (5xx, overloaded)
│   │   └── ModelCircuitOpen nothing was asked, because the model failed again and again just now
│   ├── ModelTimeout         no first token, or silence in a stream, for too long
│   ├── ModelProtocolError   an answer that is cut, empty or not in the wire format
│   └── ReplayMismatch       a replayed run that left its recording; names the first difference
├── StoreError               a store that cannot be read or written: disk full, read-only, damaged
│   └── StoreVersionError    a store that a newer version of this library wrote
├── HookBlocked              a hook of the host refused the prompt; names the hook
├── RunLimit                 a run reached one of its limits; send() returns it as a status, never raises it
└── HarnessError             a harness module, supplied by the host, raised; `__cause__` is what it raised

`A3SError.result` holds the AgentResult of a failed run, where there was one.
"""

from __future__ import annotations

from typing import Any


class A3SError(Exception):
    """Something this library says went wrong: a message, what to do about it, and whether a retry can help."""

    retryable: bool = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.result: Any = None

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(A3SError):
    """A configuration that cannot be used; line and column are 1-based, None when not from a text."""

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.column = column
        self.key = key

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = super().__str__()
        return f"{where}: {text}" if where else text


class AclError(ConfigError):
    """ACL text that does not parse or breaks a limit; `diagnostic` is the config layer's Diagnostic."""

    def __init__(self, message: str, *, diagnostic: Any, rendered: str, file: str | None = None) -> None:
        super().__init__(message, file=file, line=diagnostic.line, column=diagnostic.column, hint=diagnostic.hint)
        self.diagnostic = diagnostic
        self.code: str = diagnostic.code
        self.rendered = rendered

    def __str__(self) -> str:
        return self.rendered


class ConfigNotFound(ConfigError):
    """No configuration where one was looked for; the message lists the places."""


class MissingCredential(ConfigError):
    """A provider without its key, found out at the first model call; the message names the variable to set."""


class UsageError(A3SError):
    """A call that the library cannot carry out as written; fix the call."""


class InvalidOption(UsageError):
    """An option of the wrong type or range, or one that does not exist; `field` names it."""

    def __init__(self, message: str, *, field: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class InvalidRequest(UsageError):
    """A request without a prompt, or with a part that cannot be read."""


class WorkspaceError(UsageError):
    """A workspace that is missing, is not a folder, or cannot be read."""


class InvalidRule(UsageError):
    """A permission rule that would match nothing: empty, unclosed, or naming no tool."""

    def __init__(self, message: str, *, rule: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class SessionBusy(UsageError):
    """A second send while one runs in the same session; nothing of it was started."""


class SessionClosed(UsageError):
    """A verb on a session or agent after its close()."""


class UnknownRun(UsageError):
    """A run id that this session never began."""


class RunNotResumable(UsageError):
    """A run that cannot be gone on with: it is complete, still goes on, or other runs came after it."""


class UnknownSession(UsageError):
    """A session id that the store does not hold."""


class SessionExists(UsageError):
    """A new session under an id that the store holds already; resume_session() opens that one."""


class SessionInUse(UsageError):
    """A session that somebody has open for writing; `pid` is the process, where it is known."""

    def __init__(self, message: str, *, pid: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class ToolError(A3SError):
    """A direct call of a tool failed; `result` is the ToolResult with output, exit_code and error_kind."""

    def __init__(self, message: str, *, result: Any = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class ArgumentError(A3SError):
    """Arguments that do not fit a tool's schema; `issues` lists (path, expected, got)."""

    def __init__(self, message: str, *, issues: tuple[tuple[str, str, str], ...] = ()) -> None:
        super().__init__(message)
        self.issues = issues


class ModelError(A3SError):
    """A model call that gave no reply; `retryable` says whether the same request may succeed later, `retry_after` after
    how many seconds, where the provider said so."""

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


class ModelAuthError(ModelError):
    """The key was refused, or has no right to this model (401, 403)."""


class ModelRequestError(ModelError):
    """The provider refused the request itself (400, 404, 413, 422); the same request will be refused again."""


class ContextOverflow(ModelRequestError):
    """The conversation is too long for the model's context window; it has to be compacted first."""


class ModelRateLimit(ModelError):
    """Too many requests (429), or an exhausted quota (then not retryable)."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        status: int | None = 429,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool = True,
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message, provider=provider, status=status, request_id=request_id, retry_after=retry_after, hint=hint
        )
        self.retryable = retryable


class ModelUnavailable(ModelError):
    """No connection, or the provider failed (408, 409, 5xx, overloaded)."""

    retryable = True


class ModelCircuitOpen(ModelUnavailable):
    """Nothing was asked: the model's last calls failed; `retry_after` says when it is tried again."""

    retryable = False


class ModelTimeout(ModelError):
    """No first token, or silence in a stream, for longer than llm_api_timeout_ms."""

    retryable = True


class ModelProtocolError(ModelError):
    """An answer that is cut, empty, or not in the wire format; never taken for a reply."""

    retryable = True


class ReplayMismatch(ModelError):
    """A replayed run left its recording; the message names the first difference."""


class RunLimit(A3SError):
    """A run reached a limit; ends it as limit_reached with everything done so far."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class StoreError(A3SError):
    """A store that cannot be read or written: the disk is full, read-only, or its content is damaged."""


class StoreVersionError(StoreError):
    """A store that a newer version of this library wrote; nothing in it was touched."""


class HookBlocked(A3SError):
    """A hook that may block refused the prompt, or failed; `hook` names it."""

    def __init__(self, message: str, *, hook: str) -> None:
        super().__init__(message)
        self.hook = hook


class HarnessError(A3SError):
    """A harness module raised, or gave what its port does not allow; `module` names it, `__cause__` says why."""

    def __init__(self, message: str, *, module: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.module = module
