"""A model server answers 429, cuts a stream and reports an error; the run completes. Then two limits end a run.

Prints:

    call 2 follows in 7000 ms: loopback/test answered 429
    withdrawn: It says hello ...
    call 2 follows soon: loopback/test reported an error
    withdrawn: It says hello ...
    call 3 follows soon: the answer was cut off
    completed: It says hello, and it has two lines; the second one greets again.
    5 requests for 2 turns; a.txt was read 1 time
    limit_reached (turns): I have read 2 lines of a.txt; nothing else is done.
    limit_reached (tokens): within 1500 tokens: True
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from a3s_code import Agent
from a3s_code.events import ModelRetry, TextDelta, TextWithdrawn, ToolEnd
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import FakeClock, FaultServer, ScriptedModel

ANSWER = "It says hello, and it has two lines; the second one greets again."
FAULTS = {1: "rate_limit", 3: "error_event_halfway", 4: "cut_at_two_thirds"}


def tell(retry: ModelRetry) -> str:
    """The retry in words. Short delays are drawn by lot; a longer one is what the server asked for."""
    reason = "the answer was cut off" if "cut its answer off" in retry.error else retry.error.partition(":")[0]
    when = "soon" if retry.delay_ms < 2000 else f"in {retry.delay_ms} ms"
    return f"call {retry.attempt} follows {when}: {reason}"


def survive(workspace: Path) -> None:
    """A run through three faults, on a clock that does not make it wait."""
    reading = ToolCall("c1", "read", {"file_path": "a.txt"})
    with FaultServer([reading, ANSWER], FAULTS) as server, Agent.create(configuration(server.base_url)) as agent:
        session = agent.session(workspace, clock=FakeClock())
        shown, reads = "", 0
        with session.stream("What does a.txt say?") as events:
            for event in events:
                match event:
                    case TextDelta(text):
                        shown += text
                    case TextWithdrawn():
                        print(f"withdrawn: {shown[:13]} ...")
                        shown = ""
                    case ModelRetry():
                        print(tell(event))
                    case ToolEnd():
                        reads += 1
                    case _:
                        pass
        result = events.result()
        print(f"{result.status}: {shown}")
        print(f"{len(server.requests)} requests for {result.turns} turns; a.txt was read {reads} time")


def configuration(url: str) -> str:
    return f'default_model = "loopback/test"\nproviders "loopback" {{ base_url = "{url}" api_key = "none" }}'


def end_at_limits(workspace: Path) -> None:
    """A model that would read for ever, and what a run of it may use."""
    reading = [ToolCall(f"c{line}", "read", {"file_path": "a.txt", "offset": line, "limit": 1}) for line in (1, 2)]
    with Agent.create("") as agent:
        told = ScriptedModel([*reading, "I have read 2 lines of a.txt; nothing else is done."])
        result = agent.session(workspace, model=told, max_tool_rounds=3, last_turn_at_limit=True).send("Read on.")
        print(f"{result.status} ({result.limit}): {result.text}")
        endless = ScriptedModel(reading * 10)
        result = agent.session(workspace, model=endless, budget={"max_tokens": 1_500}).send("Read on.")
        print(f"{result.status} ({result.limit}): within 1500 tokens: {result.usage.total_tokens <= 1_500}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.txt").write_text("hello\nhello again\n")
        survive(Path(folder))
        end_at_limits(Path(folder))
