"""What would be decided: a session's policy, asked without a run and without an effect."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from a3s_code.api.requests import fit_keys
from a3s_code.errors import InvalidRequest
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.executor import ToolExecutor
from a3s_code.kernel.messages import ToolCall
from a3s_code.kernel.tool import ToolCatalog

CHECKED = "policy-check"


class AsyncPolicyView:
    """The decisions of a session, foretold. `warnings` tell which rules do not do what they seem to."""

    def __init__(self, catalog: ToolCatalog, executor: ToolExecutor, warnings: tuple[str, ...] = ()) -> None:
        self._catalog = catalog
        self._executor = executor
        self.warnings = warnings

    async def check(self, tool: str, /, **args: Any) -> Decision:
        """What the gate would say, were the model to make this call now: allow, ask or deny, the rule, its source, the
        reason, and the effects. Nothing is done and nobody is asked; of a batch, the strictest of its calls counts.

        Arguments that the tool does not know are left out; ones that it cannot read are never allowed.
        """
        if not isinstance(tool, str):
            raise InvalidRequest(f"a tool is named by text, not by {type(tool).__name__}")
        if (known := self._catalog.get(tool)) is not None:
            names = known.spec.parameters.get("properties", {})
            fitted = fit_keys(known.spec, args)
            args = {name: value for name, value in fitted.items() if name in names} if names else fitted
        return await self._executor.foresee(ToolCall(CHECKED, tool, args))


class PolicyView:
    """The decisions of a session, foretold; blocking. `warnings` tell which rules do not do what they seem to."""

    def __init__(
        self, view: AsyncPolicyView, wait: Callable[[Callable[[], Coroutine[Any, Any, Decision]]], Decision]
    ) -> None:
        self._view = view
        self._wait = wait
        self.warnings = view.warnings

    def check(self, tool: str, /, **args: Any) -> Decision:
        """What the gate would say, were the model to make this call now: allow, ask or deny, the rule, its source, the
        reason, and the effects. Nothing is done and nobody is asked; of a batch, the strictest of its calls counts.

        Arguments that the tool does not know are left out; ones that it cannot read are never allowed.
        """
        return self._wait(lambda: self._view.check(tool, **args))
