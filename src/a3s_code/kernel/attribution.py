"""Attribution: a foreign exception that leaves a harness module becomes a HarnessError that names the module."""

from __future__ import annotations

from types import TracebackType

from a3s_code.errors import A3SError, HarnessError


class blame:  # noqa: N801 - used as `with blame("router"):`
    """Turns any exception but ours into HarnessError, with the exception as its cause."""

    __slots__ = ("_module",)

    def __init__(self, module: str) -> None:
        self._module = module

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, A3SError):
            text = f"the {self._module} raised {describe(error)}"
            raise HarnessError(text, module=self._module) from error


def describe(error: BaseException) -> str:
    """An exception in one line: its type and its message."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
