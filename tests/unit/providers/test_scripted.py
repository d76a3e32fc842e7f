from __future__ import annotations

from typing import Any

import pytest

from a3s_code.errors import ModelError, ModelUnavailable, UsageError
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import Message, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.registry import create_model
from a3s_code.testing import ScriptedModel

CALL = ToolCall("c1", "read", {"path": "a"})


async def test_each_kind_of_reply_is_understood(ask: Any) -> None:
    whole = Reply(Message("assistant", (Text("cut"),)), "length", Usage(1, 2), "m")
    model = ScriptedModel(["text", CALL, ["a", Reasoning("hm", "m"), CALL], whole, lambda prompt: prompt.system])
    assert (await ask(model)).reply.message.parts == (Text("text"),)
    assert (await ask(model)).reply.message.parts == (CALL,)
    mixed = await ask(model)
    assert mixed.reply.message.parts == (Text("a"), Reasoning("hm", "m"), CALL)
    assert (mixed.text, mixed.reasoning, mixed.written) == ("a", "hm", '{"path":"a"}')
    assert mixed.reply.stop == "tool_calls"
    assert (await ask(model)).reply is whole
    assert (await ask(model, Prompt("the system", []))).text == "the system"


async def test_text_streams_in_small_pieces_byte_for_byte(ask: Any) -> None:
    text = "    indented\n\n\tä🙂 " * 20
    heard = await ask(ScriptedModel([text]))
    assert heard.text == heard.reply.message.text == text
    assert len(heard.deltas) > 10


async def test_an_exception_is_raised(ask: Any) -> None:
    model = ScriptedModel([ModelUnavailable("down"), lambda prompt: ModelUnavailable("still down"), "up"])
    with pytest.raises(ModelUnavailable, match="down"):
        await ask(model)
    with pytest.raises(ModelUnavailable, match="still down"):
        await ask(model)
    assert (await ask(model)).text == "up"


async def test_prompts_are_kept_as_they_were_when_asked(ask: Any) -> None:
    model = ScriptedModel(["one", "two"])
    history = [Message.user("first")]
    await ask(model, Prompt("s", history))
    history.append(Message.user("second"))
    await ask(model, Prompt("s", history))
    assert [len(prompt.messages) for prompt in model.prompts] == [1, 2]


async def test_a_script_that_is_used_up_says_so(ask: Any) -> None:
    model = ScriptedModel(["one"])
    await ask(model)
    with pytest.raises(ModelError, match="no reply for request 2; it holds 1"):
        await ask(model)


async def test_a_thing_that_is_no_reply_is_refused(ask: Any) -> None:
    with pytest.raises(UsageError, match="cannot hold int"):
        await ask(ScriptedModel([[7]]))


async def test_the_label_makes_a_scripted_model(ask: Any) -> None:
    model = create_model(ModelEndpoint("scripted", "demo", script=["hello"]), ModelSettings())
    assert model.name == "scripted/demo"
    assert (await ask(model)).text == "hello"
    with pytest.raises(ModelError, match="it holds 0"):
        await ask(ModelEndpoint("scripted", "demo"))
