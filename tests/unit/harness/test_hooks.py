"""Hooks are called where they match, in order; what goes wrong in a gating one blocks."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import InvalidOption
from a3s_code.harness.hooks import Handler, HookEngine
from a3s_code.kernel.contracts import Suggestion
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.hook import GATING, HOOK_NAMES, Hook, HookConfig, HookMatcher

Message = dict[str, Any]


def payload(tool: str = "bash", **arguments: Any) -> dict[str, Any]:
    return {"session_id": "s1", "tool": tool, "args": arguments, "working_directory": "/w", "recent_tools": []}


class Stage:
    """An engine, the events it emitted, and what its hooks were told."""

    def __init__(self) -> None:
        self.engine = HookEngine()
        self.events: list[dict[str, Any]] = []
        self.told: list[Any] = []

    def emit(self, event: AgentEvent) -> None:
        self.events.append(event.to_dict())

    def hook(
        self, name: str, handler: Handler | None, event: str = "pre_tool_use", matcher: Any = None, **config: Any
    ) -> None:
        self.engine.register_hook(name, event, handler, matcher, config)

    def answering(self, name: str, answer: Any, **more: Any) -> None:
        """A hook that writes down that it was called, and gives that answer."""

        def handler(message: Message) -> Any:
            self.told.append((name, message["payload"]))
            return answer

        self.hook(name, handler, **more)

    async def consult(self, given: dict[str, Any] | None = None, event: str = "pre_tool_use") -> Suggestion:
        return await self.engine.consult(event, given or payload(command="ls"), self.emit)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_event_of_the_list_can_be_hooked(stage: Stage, name: str) -> None:
    assert not stage.engine.listens(name)
    stage.answering("mine", None, event=name)
    assert stage.engine.listens(name)
    assert stage.engine.hook_count() == 1
    assert stage.engine.unregister_hook("mine") is True
    assert stage.engine.unregister_hook("mine") is False
    assert not stage.engine.listens(name)


def test_there_are_26_events_and_those_before_something_happens_gate() -> None:
    assert len(set(HOOK_NAMES)) == 26
    assert set(HOOK_NAMES) >= GATING
    assert not {name for name in GATING if name.startswith(("post_", "on_", "generate_", "session_"))}


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        ({"event_type": "pre_tool_usage"}, "event_type", "pre_tool_use"),
        ({"event_type": "nonsense"}, "event_type", "known events"),
        ({"name": ""}, "name", "name"),
        ({"handler": "print"}, "handler", "str"),
        ({"matcher": {"tools": "bash"}}, "matcher.tools", "did you mean tool?"),
        ({"matcher": {"tool": ""}}, "matcher.tool", "not a text"),
        ({"matcher": {"commandPattern": "("}}, "matcher.command_pattern", "regular expression"),
        ({"matcher": {"path_pattern": "{a,b}" * 9}}, "matcher.path_pattern", "256"),
        ({"matcher": ["bash"]}, "matcher", "list"),
        ({"config": {"timeout": 3}}, "config.timeout", "timeout_ms"),
        ({"config": {"timeoutMs": 0}}, "config.timeout_ms", "at least 1"),
        ({"config": {"priority": "first"}}, "config.priority", "whole number"),
        ({"config": {"async_execution": 1}}, "config.async_execution", "true or false"),
        ({"config": {"maxRetries": -1}}, "config.max_retries", "at least 0"),
    ],
)
def test_a_hook_that_makes_no_sense_names_what_is_wrong(
    stage: Stage, arguments: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        stage.engine.register_hook(**{"name": "mine", "event_type": "pre_tool_use", **arguments})
    assert caught.value.field == field
    assert says in str(caught.value)
    assert stage.engine.hook_count() == 0


async def test_hooks_run_by_priority_then_in_the_order_they_came(stage: Stage) -> None:
    for name, priority in (("c", 100), ("a", 1), ("d", 100), ("b", 50)):
        stage.answering(name, None, priority=priority)
    assert await stage.consult() == Suggestion()
    assert stage.names == ["a", "b", "c", "d"]


async def test_a_hook_of_the_same_name_takes_the_place_of_the_other(stage: Stage) -> None:
    stage.answering("mine", {"action": "block"})
    stage.answering("mine", None)
    assert (await stage.consult()).action == "continue"
    assert stage.engine.hook_count() == 1


async def test_a_hook_without_a_handler_is_counted_and_goes_on(stage: Stage) -> None:
    stage.hook("listed", None)
    assert stage.engine.hook_count() == 1
    assert not stage.engine.listens("pre_tool_use")
    assert await stage.consult() == Suggestion()


async def test_handlers_get_event_and_payload_and_may_be_plain_async_or_objects(stage: Stage) -> None:
    seen: list[Message] = []

    async def asynchronous(message: Message) -> None:
        await asyncio.sleep(0)
        seen.append(message)

    class Callable:
        async def __call__(self, message: Message) -> None:
            seen.append(message)

    for name, handler in (("1", seen.append), ("2", asynchronous), ("3", Callable()), ("4", lambda m: asynchronous(m))):
        stage.hook(name, handler)
    await stage.consult(payload(command="ls"))
    assert seen == [{"event_type": "pre_tool_use", "payload": payload(command="ls")}] * 4


async def test_plain_handlers_run_beside_the_loop_with_the_context_of_the_caller(stage: Stage) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    seen: list[Any] = []
    stage.hook("mine", lambda message: seen.extend([threading.get_ident(), variable.get()]))
    await stage.consult()
    assert seen[0] != threading.get_ident()
    assert seen[1] == "mine"


async def test_each_hook_sees_what_the_one_before_made_of_it(stage: Stage) -> None:
    stage.answering("first", {"action": "continue", "modified": {"command": "ls -l"}})
    stage.answering("second", {"action": "continue", "modified": {"command": "ls -la"}}, priority=200)
    stage.answering("third", None, matcher={"command_pattern": "-la$"}, priority=300)
    stage.answering("never", None, matcher={"command_pattern": "^ls$"}, priority=300)
    said = await stage.consult(payload(command="ls"))
    assert said == Suggestion("continue", {"command": "ls -la"}, "", "second")
    assert [told["args"]["command"] for _, told in stage.told] == ["ls", "ls -l", "ls -la"]


async def test_a_prompt_is_modified_as_text(stage: Stage) -> None:
    stage.answering("mine", {"action": "continue", "modified": "better"}, event="pre_prompt")
    said = await stage.consult({"session_id": "s1", "prompt": "good"}, "pre_prompt")
    assert said.modified == "better"


async def test_nobody_can_change_what_runs_but_by_an_answer(stage: Stage) -> None:
    given = payload(command="ls", deep=[{"a": 1}])
    kept: list[Any] = []

    def mutates(message: Message) -> None:
        message["payload"]["args"]["command"] = "rm"
        message["payload"]["args"]["deep"][0]["a"] = 2

    def keeps(message: Message) -> dict[str, Any]:
        kept.append({"command": "ls"})
        return {"action": "continue", "modified": kept[0]}

    stage.hook("mutates", mutates)
    stage.hook("keeps", keeps)
    said = await stage.consult(given)
    kept[0]["command"] = "rm"
    assert said.modified == {"command": "ls"}
    assert given == payload(command="ls", deep=[{"a": 1}])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"action": "block", "reason": "no"}, Suggestion("block", None, "no", "mine")),
        ({"action": "block"}, Suggestion("block", None, "blocked by the hook mine", "mine")),
        (Suggestion("block", reason="no"), Suggestion("block", None, "no", "mine")),
        (
            {"action": "escalate", "reason": "odd", "target": "ops"},
            Suggestion("escalate", None, "odd (for ops)", "mine"),
        ),
        (
            {"action": "retry", "retryDelayMs": 1},
            Suggestion("block", None, "the hook mine asked to try again later", "mine"),
        ),
    ],
)
async def test_the_first_that_stops_ends_the_chain(stage: Stage, answer: Any, expected: Suggestion) -> None:
    stage.answering("mine", answer)
    stage.answering("later", None)
    assert await stage.consult() == expected
    assert stage.names == ["mine"]
    assert stage.events == []


async def test_skip_ends_the_chain_and_keeps_what_was_modified(stage: Stage) -> None:
    stage.answering("first", {"action": "continue", "modified": {"command": "pwd"}})
    stage.answering("skips", {"action": "skip"})
    stage.answering("blocks", {"action": "block"})
    assert await stage.consult() == Suggestion("continue", {"command": "pwd"}, "", "first")
    assert stage.names == ["first", "skips"]


async def test_a_hook_that_wants_to_be_asked_again_is_as_often_as_it_may(stage: Stage) -> None:
    stage.answering("mine", {"action": "retry", "retry_delay_ms": 20, "reason": "busy"}, max_retries=2)
    started = time.monotonic()
    assert await stage.consult() == Suggestion("block", None, "busy", "mine")
    assert stage.names == ["mine"] * 3
    assert time.monotonic() - started >= 0.04


async def test_a_hook_that_has_its_answer_the_second_time_goes_on(stage: Stage) -> None:
    answers = [{"action": "retry"}, {"action": "continue", "modified": {"command": "pwd"}}]
    stage.hook("mine", lambda message: answers.pop(0), max_retries=5)
    assert (await stage.consult()).modified == {"command": "pwd"}


def raises(message: Message) -> None:
    raise RuntimeError("broken")


def leaves(message: Message) -> None:
    raise SystemExit(1)


async def leaves_async(message: Message) -> None:
    raise SystemExit(1)


async def cancels(message: Message) -> None:
    raise asyncio.CancelledError


async def hangs(message: Message) -> None:
    await asyncio.sleep(60)


async def hangs_on(message: Message) -> None:
    for _ in range(8):
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            continue


def blocks_its_thread(message: Message) -> None:
    time.sleep(2)


FAULTS: dict[str, tuple[Any, str]] = {
    "raises": (raises, "broken"),
    "leaves": (leaves, "SystemExit"),
    "leaves async": (leaves_async, "SystemExit"),
    "cancels": (cancels, "CancelledError"),
    "hangs": (hangs, "within 150 ms"),
    "hangs on": (hangs_on, "within 150 ms"),
    "blocks": (blocks_its_thread, "within 150 ms"),
    "no arguments": (lambda: None, "positional argument"),
    "text": (lambda message: "block", "str"),
    "bool": (lambda message: False, "bool"),
    "list": (lambda message: [], "list"),
    "no action": (lambda message: {}, "None"),
    "unknown action": (lambda message: {"action": "deny"}, "'deny'"),
    "misspelt action": (lambda message: {"acton": "block"}, "'acton'"),
    "modified of another type": (lambda message: {"action": "continue", "modified": "ls"}, "str"),
    "modified with odd keys": (lambda message: {"action": "continue", "modified": {1: 2}}, "keys"),
    "odd delay": (lambda message: {"action": "retry", "retry_delay_ms": "soon"}, "soon"),
    "odd reason": (lambda message: {"action": "block", "reason": 3}, "reason"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_gating_hook_with_a_fault_blocks_and_an_event_says_so(stage: Stage, fault: str) -> None:
    handler, says = FAULTS[fault]
    stage.hook("guard", handler, timeout_ms=150)
    stage.answering("later", None)
    said = await stage.consult()
    assert (said.action, said.source) == ("block", "guard")
    assert said.reason.startswith("hook_error: ")
    assert says in said.reason
    assert stage.names == []
    (event,) = stage.events
    assert (event["type"], event["hook"], event["event_name"], event["gating"]) == (
        "hook_failed",
        "guard",
        "pre_tool_use",
        True,
    )
    assert says in event["error"]


async def test_where_nothing_can_be_modified_a_modification_blocks(stage: Stage) -> None:
    stage.answering("mine", {"action": "continue", "modified": {}}, event="permission_request")
    said = await stage.consult(payload(), "permission_request")
    assert (said.action, "nothing can be modified" in said.reason) == ("block", True)


async def test_a_payload_nested_too_deep_blocks(stage: Stage) -> None:
    stage.answering("mine", None)
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    assert (await stage.consult(payload(deep=deep))).action == "block"
    stage.answering("observes", None, event="post_tool_use")
    stage.engine.observe("post_tool_use", payload(deep=deep), stage.emit)
    assert [event["hook"] for event in stage.events] == ["mine", "observes"]


async def test_a_gating_hook_is_waited_for_even_if_it_wants_no_waiting(stage: Stage) -> None:
    stage.answering("mine", {"action": "block"}, async_execution=True)
    assert (await stage.consult()).action == "block"


async def test_a_cancelled_consultation_cancels_its_hook(stage: Stage) -> None:
    ended = asyncio.Event()

    async def waits(message: Message) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    stage.hook("mine", waits)
    task = asyncio.create_task(stage.consult())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 5)


MATCHES: list[tuple[dict[str, str], dict[str, Any], bool]] = [
    ({}, payload("read", path="a"), True),
    ({"tool": "bash"}, payload("bash"), True),
    ({"tool": "Bash"}, payload("bash"), True),
    ({"tool": "bash"}, payload("bash2"), False),
    ({"tool": "mcp__*"}, payload("mcp__files__read"), True),
    ({"tool": "edit|write|patch"}, payload("write"), True),
    ({"tool": "edit|write"}, payload("read"), False),
    ({"command_pattern": r"rm\s+-rf|mkfs"}, payload(command="sudo rm  -rf /"), True),
    ({"commandPattern": "mkfs"}, payload(command="ls"), False),
    ({"command_pattern": "mkfs"}, payload("read", path="mkfs"), False),
    ({"command_pattern": "mkfs"}, payload(command="x" * 9_000), True),
    ({"session_id": "s1"}, payload(), True),
    ({"sessionId": "s2"}, payload(), False),
    ({"skill": "review"}, {"skill_name": "review"}, True),
    ({"skill": "review"}, {"skill_name": "other"}, False),
    ({"path_pattern": "src/**"}, payload("edit", path="src/a/b.py"), True),
    ({"path_pattern": "src/**"}, payload("edit", file_path="./lib/../src/a.py"), True),
    ({"pathPattern": "src/**"}, payload("edit", filePath="/w/src/a.py"), True),
    ({"path_pattern": "src/**"}, payload("edit", path="lib/src.py"), False),
    ({"path_pattern": "src/**"}, payload("edit", path="../src/a.py"), False),
    ({"path_pattern": "*.py"}, payload("read", path="deep/down/a.py"), True),
    ({"path_pattern": "secrets"}, payload("read", path="secrets/a/key"), True),
    ({"path_pattern": ".env*"}, payload("read", path="/elsewhere/.env.local"), True),
    ({"path_pattern": "/etc/**"}, payload("read", path="/etc/passwd"), True),
    ({"path_pattern": "/etc/**"}, payload("read", path="../etc/passwd"), True),
    ({"path_pattern": "/etc/**"}, payload("read", path="etc/passwd"), False),
    ({"path_pattern": "*.{py,pyi}"}, payload("read", path="a.pyi"), True),
    ({"path_pattern": "src/*"}, payload("patch", diff="--- a/src/x\n+++ b/src/x\n@@ -1 +1 @@\n"), True),
    ({"path_pattern": "src/*"}, payload("patch", diff="*** Begin Patch\n*** Update File: src/x\n"), True),
    ({"path_pattern": "src/*"}, payload("patch", diff="*** Begin Patch\n*** Delete File: x\n"), False),
    ({"path_pattern": "src/*"}, payload("own", paths=["a", "src/b"]), True),
    ({"path_pattern": "src/*"}, payload("bash", command="cat src/a"), False),
    ({"tool": "edit", "path_pattern": "src/*"}, payload("read", path="src/a"), False),
    ({"tool": "edit", "path_pattern": "src/*"}, payload("edit", path="a"), False),
]


@pytest.mark.parametrize(("matcher", "given", "called"), MATCHES)
async def test_a_hook_is_called_where_all_of_its_matcher_matches(
    stage: Stage, matcher: dict[str, str], given: dict[str, Any], called: bool
) -> None:
    stage.answering("mine", None, matcher=matcher)
    await stage.consult(given)
    assert stage.names == ["mine"] * called


async def test_a_path_matches_through_a_link(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "harmless").symlink_to("secrets")
    stage.answering("mine", None, matcher={"path_pattern": "secrets/**"})
    await stage.consult({"tool": "read", "args": {"path": "harmless/key"}, "working_directory": str(tmp_path)})
    assert stage.names == ["mine"]


async def test_a_path_that_cannot_be_matched_calls_the_guard(stage: Stage) -> None:
    stage.answering("mine", {"action": "block"}, matcher={"path_pattern": "secrets/**"})
    odd = {"tool": "read", "args": {"path": "a"}, "working_directory": "/w\0"}
    assert (await stage.consult(odd)).action == "block"


async def test_observers_are_told_in_order_without_delay_and_cannot_change_a_thing(stage: Stage) -> None:
    release = threading.Event()

    def slow(message: Message) -> None:
        release.wait(10)
        message["payload"]["args"]["command"] = "changed"
        stage.told.append(("slow", message["payload"]["n"]))

    stage.hook("slow", slow, event="post_tool_use", priority=1)
    stage.answering("quick", None, event="post_tool_use")
    started = time.monotonic()
    for number in range(3):
        given = {**payload(command="ls"), "n": number}
        stage.engine.observe("post_tool_use", given, stage.emit)
        given["args"]["command"] = "rewritten by the caller"
    assert time.monotonic() - started < 1
    release.set()
    await stage.engine.close()
    assert stage.names == ["slow", "quick"] * 3
    assert [told["args"]["command"] for name, told in stage.told if name == "quick"] == ["ls"] * 3


async def test_what_goes_wrong_in_an_observer_is_an_event_and_no_more(stage: Stage) -> None:
    stage.hook("bad", raises, event="on_error")
    stage.hook("hangs", hangs, event="on_error", timeout_ms=50)
    stage.answering("good", {"action": "block"}, event="on_error")
    stage.engine.observe("on_error", {"session_id": "s1"}, stage.emit)
    await stage.engine.close()
    assert stage.names == ["good"]
    assert [(event["hook"], event["gating"]) for event in stage.events] == [("bad", False), ("hangs", False)]


async def test_an_observer_that_wants_no_waiting_holds_up_no_other(stage: Stage) -> None:
    stage.hook("slow", hangs, event="post_tool_use", async_execution=True, priority=1)
    stage.answering("quick", None, event="post_tool_use")
    stage.engine.observe("post_tool_use", payload(), stage.emit)
    for _ in range(200):
        await asyncio.sleep(0.01)
        if stage.told:
            break
    assert stage.names == ["quick"]
    await stage.engine.close(timeout_ms=20)


async def test_closing_waits_only_so_long_and_says_what_was_left_out(stage: Stage) -> None:
    stage.hook("hangs", hangs, event="post_tool_use")
    for _ in range(3):
        stage.engine.observe("post_tool_use", payload(), stage.emit)
    started = time.monotonic()
    await stage.engine.close(timeout_ms=50)
    assert time.monotonic() - started < 5
    assert [event["error"] for event in stage.events] == ["left out: the session was closed"] * 3
    stage.answering("hangs", None, event="post_tool_use")
    stage.engine.observe("post_tool_use", payload(), stage.emit)
    await stage.engine.close()
    assert stage.names == ["hangs"]


async def test_what_nobody_listens_to_costs_nothing(stage: Stage) -> None:
    stage.engine.observe("on_success", {"not": "copied"}, stage.emit)
    assert await stage.engine.consult("pre_compact", {}, stage.emit) == Suggestion()
    await stage.engine.close()
    assert stage.events == []


def test_one_engine_serves_several_event_loops(stage: Stage) -> None:
    stage.answering("gate", {"action": "continue", "modified": {"command": "pwd"}})
    stage.answering("observer", None, event="post_tool_use")

    async def work() -> None:
        for _ in range(20):
            assert (await stage.consult()).modified == {"command": "pwd"}
            stage.engine.observe("post_tool_use", payload(), stage.emit)
        await stage.engine.close()

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(stage.names)) == ["gate", "observer"]
    assert len(stage.names) == 160
    assert stage.events == []


async def test_hooks_can_be_taken_in_and_out_while_they_are_asked(stage: Stage) -> None:
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            stage.answering(f"h{number % 50}", None)
            stage.engine.unregister_hook(f"h{(number + 25) % 50}")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(10):
            assert (await stage.consult()).action == "continue"
    finally:
        stop.set()
        thread.join()
    assert stage.events == []


def test_a_hook_can_be_given_as_a_value() -> None:
    hook = Hook("mine", "pre_tool_use", print, HookMatcher(tool="bash"), HookConfig(priority=1))
    engine = HookEngine()
    engine.register(hook)
    assert hook.gating
    assert engine.listens("pre_tool_use")


async def test_a_gating_hook_is_not_asked_about_its_own_work_and_blocks_it(stage: Stage) -> None:
    seen: list[Suggestion] = []

    async def handler(message: Message) -> None:
        seen.append(await stage.consult())

    stage.hook("h", handler)
    assert (await stage.consult()).action == "continue"
    assert [said.action for said in seen] == ["block"]
    assert "itself" in seen[0].reason
    assert (await stage.consult()).action == "continue", "it may be asked again once it is done"


async def test_a_hook_that_only_observes_is_not_told_of_its_own_work(stage: Stage) -> None:
    def handler(message: Message) -> None:
        stage.told.append(("h", message["payload"]))
        asyncio.run(observe())

    async def observe() -> None:
        stage.engine.observe("post_tool_use", payload(), stage.emit)
        await stage.engine.close()

    stage.hook("h", handler, event="post_tool_use")
    await observe()
    assert stage.names == ["h"]
