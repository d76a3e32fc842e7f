"""Authorization: from an action to allow or deny. The gate decides; where it asks, a person answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from a3s_code.kernel.attribution import describe, expect, is_foreign
from a3s_code.kernel.cleaning import Clean, clean_value
from a3s_code.kernel.contracts import Confirmation, Decision
from a3s_code.kernel.facts import asked_fact
from a3s_code.kernel.journal import UNKEPT, Journal
from a3s_code.kernel.messages import ToolCall
from a3s_code.kernel.ports import Confirmer, Emit, Hooks, Question, SafetyGate
from a3s_code.kernel.spelling import Spelling
from a3s_code.kernel.tool import Action

GATE_SECONDS = 10


class Authorization:
    """Judges calls for one session. Nothing that goes wrong on the way ends in an allow."""

    def __init__(
        self,
        gate: SafetyGate,
        confirmer: Confirmer,
        hooks: Hooks,
        session_id: str,
        journal: Journal = UNKEPT,
        clean: Clean = str,
    ) -> None:
        self._gate = gate
        self._confirmer = confirmer
        self._hooks = hooks
        self._session_id = session_id
        self._journal = journal
        self._clean = clean

    async def decide(self, action: Action) -> Decision:
        """The gate's decision as it stands: allow, ask or deny. Nobody is asked, and nothing is done."""
        try:
            async with asyncio.timeout(GATE_SECONDS):
                decision = expect(Decision, await self._gate.decide(action))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return Decision("deny", f"the gate failed: {describe(error)}", source="gate", effects=action.effects)
        return decision

    async def settle(self, action: Action, spelled: Spelling, emit: Emit, doubt: Decision | None = None) -> Decision:
        """The decision, an ask turned into allow or deny by whoever can answer it; `doubt` is an ask of a hook."""
        decision = await self.decide(action)
        if doubt is not None and decision.outcome == "allow":
            decision = replace(doubt, effects=decision.effects)
        if decision.outcome == "allow" and action.origin == "model" and self._confirmer.objects(action.call_id):
            decision = replace(decision, outcome="ask", reason="a person was asked about this call")
        if decision.outcome == "ask":
            decision = await self._answer(action, spelled, decision, emit)
        return decision

    async def _answer(self, action: Action, spelled: Spelling, decision: Decision, emit: Emit) -> Decision:
        if self._hooks.listens("permission_request"):
            payload = {
                "session_id": self._session_id,
                "tool_id": action.call_id,
                "tool": action.tool,
                "args": action.arguments,
            }
            said = await self._hooks.consult("permission_request", payload, emit)
            if said.action == "block":
                return replace(decision, outcome="deny", source=f"hook {said.source}", rule=None, reason=said.reason)
        if action.origin != "model":
            return replace(decision, outcome="allow", reason=f"asked for by the {action.origin}")
        if self._hooks.listens("on_confirmation"):
            message = {"session_id": self._session_id, "confirmation_type": "tool", "message": decision.reason}
            self._hooks.observe("on_confirmation", {**message, "tool_id": action.call_id, "tool": action.tool}, emit)
        if self._journal.kept:
            call = ToolCall(action.call_id, action.tool, action.arguments)
            self._journal.note(clean_value(asked_fact(call, decision, spelled.digest), self._clean))
        answer = await self._confirm(Question(action, decision, spelled.shown, spelled.digest), emit)
        if answer.approved and Spelling(action.arguments, str).digest != spelled.digest:
            return replace(decision, outcome="deny", reason="the arguments were changed while they were confirmed")
        if answer.approved:
            return replace(decision, outcome="allow", reason=answer.reason or "confirmed")
        asked = decision.reason or "this call needs a confirmation"
        return replace(decision, outcome="deny", reason=f"{asked}; {answer.reason or 'refused by the person asked'}")

    async def _confirm(self, question: Question, emit: Emit) -> Confirmation:
        try:
            return expect(Confirmation, await self._confirmer.confirm(question, emit))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return Confirmation(approved=False, reason=f"the confirmation failed: {describe(error)}")
