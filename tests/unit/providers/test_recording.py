from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import ConfigError, ModelRateLimit, ReplayMismatch
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Text, ToolCall
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.registry import create_model
from a3s_code.testing import RecordingModel, ReplayModel, ScriptedModel

TOOLS = (ToolSpec("read", "Read a file.", {}), ToolSpec("bash", "Run a command.", {}))


def script(workspace: Path) -> list[Any]:
    return [
        [Reasoning("hm", "m", '{"type":"thinking"}'), ToolCall("c1", "read", {"path": f"{workspace}/a.py", "n": [1]})],
        f"It is in {workspace}/a.py, in 0.3 s.",
    ]


async def converse(model: ChatModel, workspace: Path, ask: Any, *, system: str = "", output: str = "print(1)") -> Any:
    """A conversation of two requests, as an agent would have it in `workspace`."""
    system = system or f"You work in {workspace}."
    history = [Message.user("Where is it?", (Image("image/png", b"png"),))]
    first = await ask(model, Prompt(system, history, TOOLS))
    history.append(first.reply.message)
    history.append(
        Message("tool", tuple(Observation(call.id, call.name, output) for call in first.reply.message.calls))
    )
    return first, await ask(model, Prompt(system, history, TOOLS))


async def recorded(path: Path, ask: Any, workspace: Path = Path("/home/ann/project"), **words: str) -> Path:
    model = RecordingModel(ScriptedModel(script(workspace)), path, workspace=workspace)
    await converse(model, workspace, ask, **words)
    return path


async def test_a_recording_replays_in_another_workspace(tmp_path: Path, ask: Any) -> None:
    path = await recorded(tmp_path / "deep" / "r.json", ask)
    elsewhere = Path("/srv/ci/build-7")
    first, second = await converse(ReplayModel(path, workspace=elsewhere), elsewhere, ask)
    assert first.reply.message.calls == (ToolCall("c1", "read", {"path": "/srv/ci/build-7/a.py", "n": [1]}),)
    assert first.reply.message.parts[0] == Reasoning("hm", "m", '{"type":"thinking"}')
    assert second.text == second.reply.message.text == "It is in /srv/ci/build-7/a.py, in 0.3 s."
    assert "/home/ann" not in path.read_text()


async def test_a_recording_is_json_to_read_and_the_same_each_time(tmp_path: Path, ask: Any) -> None:
    one = await recorded(tmp_path / "one.json", ask)
    two = await recorded(tmp_path / "two.json", ask, workspace=Path("/home/bob/project"))
    assert one.read_text() == two.read_text()
    recording = json.loads(one.read_text())
    assert recording["format"] == "a3s-recording/1"
    first, second = recording["exchanges"]
    assert first["system"] == "You work in {WORKSPACE}."
    assert first["tools"] == ["read", "bash"]
    assert [message["role"] for message in second["messages"]] == ["assistant", "tool"]
    assert second["kept_messages"] == 1
    assert first["reply"]["parts"][1]["call"]["arguments"]["path"] == "{WORKSPACE}/a.py"
    assert one.read_text().count("\n") > 50


async def test_times_durations_versions_and_temporary_places_may_differ(tmp_path: Path, ask: Any) -> None:
    words = "ran in {} at {} with {} in {}, 3 passed"
    then = words.format("0.12 s", "2026-01-02T03:04:05Z", "Python 3.11.7", "/tmp/pytest-7/x")
    now = words.format("14ms", "2027-11-12T13:14:15+02:00", "Python 3.13.0rc1", "/tmp/pytest-of-ann/x")
    path = await recorded(tmp_path / "r.json", ask, output=then)
    home = Path("/home/ann/project")
    await converse(ReplayModel(path, workspace=home), home, ask, output=now)
    with pytest.raises(ReplayMismatch, match="4 passed"):
        await converse(ReplayModel(path, workspace=home), home, ask, output=now.replace("3 passed", "4 passed"))


async def test_one_changed_word_of_the_system_text_is_named(tmp_path: Path, ask: Any) -> None:
    path = await recorded(tmp_path / "r.json", ask, system="Be brief and kind to everybody.")
    model = ReplayModel(path, workspace="/home/ann/project")
    with pytest.raises(ReplayMismatch) as caught:
        await converse(model, Path("/home/ann/project"), ask, system="Be brief and rude to everybody.")
    assert "request 1" in str(caught.value)
    assert "the system text differs" in str(caught.value)
    assert "expected 'Be brief and kind" in str(caught.value)
    assert "got 'Be brief and rude" in str(caught.value)


async def test_the_first_differing_part_is_named_with_both_values(tmp_path: Path, ask: Any) -> None:
    home = Path("/home/ann/project")
    path = await recorded(tmp_path / "r.json", ask)
    with pytest.raises(ReplayMismatch) as caught:
        await converse(ReplayModel(path, workspace=home), home, ask, output="print(2)")
    said = str(caught.value)
    assert "request 2" in said
    assert "message 3 (tool), part 1, result.output differs: expected 'print(1)', got 'print(2)'" in said


async def test_other_tools_missing_messages_and_other_roles_are_told(tmp_path: Path, ask: Any) -> None:
    path = await recorded(tmp_path / "r.json", ask)
    system = "You work in {WORKSPACE}."
    user = Message.user("Where is it?", (Image("image/png", b"png"),))
    for prompt, words in [
        (Prompt(system, [user], TOOLS[:1]), "the tools differs: expected 'read, bash', got 'read'"),
        (Prompt(system, [], TOOLS), "message 1 differs"),
        (Prompt(system, [user, user], TOOLS), "message 2 differs: expected 'nothing'"),
        (Prompt(system, [Message("assistant", (Text("x"),))], TOOLS), "expected 'user', got 'assistant'"),
        (Prompt(system, [Message.user("Where is it?", (Image("image/png", b"other"),))], TOOLS), "image.sha256"),
        (Prompt(system, [Message.user("Where is it?")], TOOLS), "part 1, image"),
    ]:
        with pytest.raises(ReplayMismatch, match="request 1") as caught:
            await ask(ReplayModel(path), prompt)
        assert words in str(caught.value)


async def test_turn_mode_wants_the_same_calls_and_nothing_else(tmp_path: Path, ask: Any) -> None:
    path = await recorded(tmp_path / "r.json", ask)
    home = Path("/home/ann/project")
    await converse(ReplayModel(path, "turn", workspace=home), home, ask, system="Other words.", output="other output")
    model = ReplayModel(path, "turn")
    await ask(model, "hi")
    with pytest.raises(ReplayMismatch, match="expected call read, result read, got no calls"):
        await ask(model, "hi")


async def test_a_run_longer_than_its_recording_is_told(tmp_path: Path, ask: Any) -> None:
    path = await recorded(tmp_path / "r.json", ask)
    home = Path("/home/ann/project")
    model = ReplayModel(path, workspace=home)
    await converse(model, home, ask)
    with pytest.raises(ReplayMismatch, match=r"request 3 .* ends after 2 requests"):
        await ask(model, "one more")


async def test_sessions_side_by_side_may_ask_in_another_order(tmp_path: Path, ask: Any) -> None:
    model = RecordingModel(ScriptedModel(["for a", "for b"]), tmp_path / "r.json")
    await ask(model, "a")
    await ask(model, "b")
    replay = ReplayModel(tmp_path / "r.json")
    assert (await ask(replay, "b")).text == "for b"
    assert (await ask(replay, "a")).text == "for a"


async def test_errors_are_recorded_and_raised_again(tmp_path: Path, ask: Any) -> None:
    limited = ModelRateLimit("slow down", provider="p", retryable=False)
    model = RecordingModel(ScriptedModel([limited, "ok"]), tmp_path / "r.json")
    with pytest.raises(ModelRateLimit):
        await ask(model)
    await ask(model)
    replay = ReplayModel(tmp_path / "r.json")
    with pytest.raises(ModelRateLimit, match="slow down") as caught:
        await ask(replay)
    assert not caught.value.retryable
    assert (await ask(replay)).text == "ok"


async def test_a_request_that_was_never_answered_is_told(tmp_path: Path, ask: Any) -> None:
    model = RecordingModel(ScriptedModel(["a long answer in many pieces", "ok"]), tmp_path / "r.json")
    stream = model.stream(Prompt("", [Message.user("first")]))
    await anext(stream)
    await stream.aclose()
    await ask(model, "second")
    with pytest.raises(ReplayMismatch, match="holds no reply"):
        await ask(ReplayModel(tmp_path / "r.json"), "first")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other/1"}'])
async def test_a_file_that_is_no_recording_is_refused(text: str, tmp_path: Path, ask: Any) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ConfigError, match=r"r\.json"):
        await ask(ReplayModel(tmp_path / "r.json"))


async def test_a_missing_recording_is_told(tmp_path: Path, ask: Any) -> None:
    with pytest.raises(ConfigError, match="there is no recording"):
        await ask(ReplayModel(tmp_path / "r.json"))


async def test_the_label_plays_a_recording(tmp_path: Path, ask: Any) -> None:
    path = await recorded(tmp_path / "r.json", ask)
    home = Path("/home/ann/project")
    model = create_model(ModelEndpoint("replay", "demo", path=path, workspace=home), ModelSettings())
    assert model.name == "replay/demo"
    _, second = await converse(model, home, ask)
    assert second.text.startswith("It is in")
