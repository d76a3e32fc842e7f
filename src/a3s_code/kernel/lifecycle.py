"""The hooks around a run: before its prompt, around each model call, at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from a3s_code.errors import HookBlocked, ModelRateLimit
from a3s_code.kernel.cleaning import Clean, tell_cleaned
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Reply, Request, Retry
from a3s_code.kernel.ports import Hooks, Prompt
from a3s_code.kernel.state import Run, SessionState


class Lifecycle:
    """Tells the hooks of one session where its runs stand. Costs next to nothing while nobody listens."""

    def __init__(self, hooks: Hooks, state: SessionState, model: str, clean: Clean) -> None:
        self._hooks = hooks
        self._clean = clean
        self._state = state
        self._provider, _, self._model = model.partition("/")
        self._asked_at = 0.0
        self._begun = False

    def begin(self, run: Run) -> None:
        """Emit what a run has to begin with, one that goes on too."""
        while self._state.notices:
            run.emit(self._state.notices.pop(0))
        if not self._begun:
            self._begun = True
            self._tell(run, "session_start", model_provider=self._provider, model_name=self._model)

    async def admit(self, run: Run, request: Request) -> Request:
        """The request as the hooks leave it; raises HookBlocked."""
        self._tell(run, "intent_detection", prompt=request.prompt, workspace=str(self._state.workspace))
        if not self._hooks.listens("pre_prompt"):
            return request
        count = len(self._state.history if request.history is None else request.history)
        payload = {"session_id": run.session_id, "prompt": request.prompt, "message_count": count}
        said = await self._hooks.consult("pre_prompt", payload, tell_cleaned(run.emit, self._clean))
        if said.action != "continue":
            raise HookBlocked(f"the hook {said.source} stopped the run: {said.reason}", hook=said.source)
        return request if said.modified is None else replace(request, prompt=said.modified)

    def asked(self, run: Run, prompt: Prompt) -> None:
        """A model call begins."""
        self._asked_at = time.monotonic()
        if self._hooks.listens("generate_start"):
            self._tell(
                run,
                "generate_start",
                prompt=run.prompt,
                system_prompt=prompt.system,
                model_provider=self._provider,
                model_name=self._model,
                available_tools=[spec.name for spec in prompt.tools],
            )

    def replied(self, run: Run, reply: Reply) -> None:
        """A model call ended with a reply; one without calls is the response."""
        calls = reply.message.calls
        spent = {"usage": _usage(reply.usage), "duration_ms": round((time.monotonic() - self._asked_at) * 1000)}
        if self._hooks.listens("generate_end"):
            made = [{"name": call.name, "args": call.arguments} for call in calls]
            self._tell(
                run, "generate_end", prompt=run.prompt, response_text=reply.message.text, tool_calls=made, **spent
            )
        if not calls:
            self._tell(run, "post_response", response_text=reply.message.text, tool_calls_count=run.calls, **spent)

    def retried(self, run: Run, retry: Retry) -> None:
        """A model call failed and is made again."""
        if isinstance(retry.error, ModelRateLimit):
            used = _usage(run.usage)
            self._tell(run, "on_rate_limit", limit_type="requests", retry_after_ms=retry.delay_ms, current_usage=used)

    def ended(self, run: Run) -> None:
        """The run is over."""
        if run.error is not None:
            kind = "llm_failure" if type(run.error).__name__.startswith("Model") else "other"
            self._tell(run, "on_error", error_type=kind, error_message=str(run.error), context={"run_id": run.id})
        elif run.status == "completed":
            spent = run.updated_at_ms - run.created_at_ms
            self._tell(run, "on_success", action_type="run", action_summary=run.text[:200], duration_ms=spent)

    def _tell(self, run: Run, name: str, **payload: Any) -> None:
        if self._hooks.listens(name):
            emit = tell_cleaned(run.emit, self._clean)
            self._hooks.observe(name, {"session_id": run.session_id, **payload}, emit)


def _usage(usage: Usage) -> Mapping[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
