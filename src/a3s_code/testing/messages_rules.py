"""What the Messages API refuses, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from a3s_code.testing.rules import (
    MOST_IMAGES,
    Facts,
    image_faults,
    missing_fields,
    name_faults,
    repeated,
    schema_faults,
    spoken,
    unknown_fields,
)

MOST_MARKS = 4
_LEAST_BUDGET = 1024
_LONGEST_NAME = 128
_LONGEST_ID = 1024
_FIELDS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "tools",
        "tool_choice",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "thinking",
        "cache_control",
        "container",
        "context_management",
        "mcp_servers",
        "service_tier",
        "output_config",
        "output_format",
        "inference_geo",
        "speed",
        "diagnostics",
    }
)
_TOOL_FIELDS = frozenset(
    {
        "name",
        "description",
        "input_schema",
        "type",
        "strict",
        "cache_control",
        "defer_loading",
        "eager_input_streaming",
        "input_examples",
        "allowed_callers",
    }
)
_BLOCKS: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {
    "text": ("", frozenset({"text"}), frozenset({"cache_control", "citations"})),
    "image": ("user", frozenset({"source"}), frozenset({"cache_control"})),
    "document": ("user", frozenset({"source"}), frozenset({"cache_control", "citations", "context", "title"})),
    "tool_use": ("assistant", frozenset({"id", "name", "input"}), frozenset({"cache_control", "caller"})),
    "tool_result": ("user", frozenset({"tool_use_id"}), frozenset({"content", "is_error", "cache_control"})),
    "thinking": ("assistant", frozenset({"thinking", "signature"}), frozenset()),
    "redacted_thinking": ("assistant", frozenset({"data"}), frozenset()),
}
_UNCHECKED = frozenset(
    {
        "search_result",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "container_upload",
        "mcp_tool_use",
        "mcp_tool_result",
        "code_execution_tool_result",
    }
)
_THOUGHTS = ("thinking", "redacted_thinking")


def head_faults(body: dict[str, Any]) -> Iterator[str]:
    """What is wrong outside the messages."""
    yield from missing_fields(body, ("model", "max_tokens", "messages"), "")
    yield from unknown_fields(body, _FIELDS, "")
    if not spoken(body.get("model", "-")):
        yield "model: must be a name"
    yield from _number_faults(body)
    system = body.get("system")
    if isinstance(system, list):
        for index, block in enumerate(system):
            yield from _text_block_faults(block, f"system[{index}]")
    elif system is not None and not spoken(system):
        yield "system: must hold text"
    tools = body.get("tools")
    if tools is not None:
        yield from _tools_faults(tools)
    if "tool_choice" in body:
        yield from _choice_faults(body["tool_choice"], body)


def _choice_faults(choice: Any, body: dict[str, Any]) -> Iterator[str]:
    if not isinstance(choice, dict) or not body.get("tools"):
        yield "tool_choice: must be an object, and stand beside tools"
    elif choice.get("type") not in ("auto", "any", "tool", "none"):
        yield "tool_choice.type: must be auto, any, tool or none"
    elif choice["type"] in ("any", "tool") and _thinks(body):
        yield "tool_choice.type: must be auto or none with thinking"


def marks_of(body: dict[str, Any]) -> int:
    """How many cache marks stand outside the messages; the one for the whole request counts too."""
    blocks = [body]
    for name in ("system", "tools"):
        listed = body.get(name)
        blocks += [block for block in listed if isinstance(block, dict)] if isinstance(listed, list) else []
    return sum("cache_control" in block for block in blocks)


def message_facts(message: Any) -> Facts:
    """One message, read and judged by itself."""
    if not isinstance(message, dict):
        return Facts("", (": is no object",))
    found = [*missing_fields(message, ("role", "content"), "."), *unknown_fields(message, ("role", "content"), ".")]
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant"):
        found.append(f".role: {role!r} is neither user nor assistant")
    if isinstance(content, str):
        if not spoken(content):
            found.append(".content: is empty")
        return Facts(str(role), tuple(found), ends_in_blank=content != content.rstrip())
    if not isinstance(content, list) or not content or not all(isinstance(block, dict) for block in content):
        found.append(".content: must be text or a list of blocks, and not empty")
        return Facts(str(role), tuple(found))
    for index, block in enumerate(content):
        found += _block_faults(block, str(role), f".content[{index}]")
    found += _order_faults([block.get("type") for block in content])
    return _facts(str(role), tuple(found), content)


def sequence_faults(messages: Sequence[Facts], body: dict[str, Any]) -> Iterator[str]:
    """What is wrong between the messages."""
    if not messages:
        yield "messages: is empty"
        return
    if messages[0].role != "user":
        yield "messages[0].role: the first message must be the user's"
    for name in repeated(call for facts in messages for call in facts.calls):
        yield f"messages: the tool_use id {name!r} stands in several calls"
    for index, facts in enumerate(messages):
        yield from (f"messages[{index}]{fault}" for fault in facts.found)
        if facts.calls or facts.results:
            yield from _pairing_faults(messages, index)
    if messages[-1].role == "assistant" and messages[-1].ends_in_blank:
        yield "messages: the last message, the assistant's, ends in whitespace"
    if _thinks(body) and messages[-1].results and len(messages) > 1 and not messages[-2].begins_with_thought:
        yield f"messages[{len(messages) - 2}]: with thinking, the turn that calls tools must begin with a thought"
    if sum(facts.marks for facts in messages) + marks_of(body) > MOST_MARKS:
        yield f"cache_control: stands more than {MOST_MARKS} times"
    if sum(facts.images for facts in messages) > MOST_IMAGES:
        yield f"messages: hold more than {MOST_IMAGES} images"


def _thinks(body: dict[str, Any]) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _pairing_faults(messages: Sequence[Facts], index: int) -> Iterator[str]:
    facts = messages[index]
    before = messages[index - 1].calls if index else ()
    after = messages[index + 1].results if index + 1 < len(messages) else ()
    for call in facts.calls:
        if call not in after:
            yield f"messages[{index}]: the tool_use {call!r} has no tool_result in the next message"
    for result in facts.results:
        if result not in before:
            yield f"messages[{index}]: the tool_result {result!r} has no tool_use in the message before"
    for result in repeated(facts.results):
        yield f"messages[{index}]: the tool_use {result!r} has several tool_results"


def _facts(role: str, found: tuple[str, ...], content: list[dict[str, Any]]) -> Facts:
    inner = [
        part
        for block in content
        if isinstance(listed := block.get("content"), list)
        for part in listed
        if isinstance(part, dict)
    ]
    last = content[-1].get("text") if content[-1].get("type") == "text" else ""
    return Facts(
        role,
        found,
        calls=tuple(str(block.get("id")) for block in content if block.get("type") == "tool_use"),
        results=tuple(str(block.get("tool_use_id")) for block in content if block.get("type") == "tool_result"),
        begins_with_thought=content[0].get("type") in _THOUGHTS,
        ends_in_blank=isinstance(last, str) and last != last.rstrip(),
        marks=sum("cache_control" in block for block in (*content, *inner)),
        images=sum(block.get("type") == "image" for block in (*content, *inner)),
    )


def _number_faults(body: dict[str, Any]) -> Iterator[str]:
    most = body.get("max_tokens", 1)
    if type(most) is not int or most < 1:
        yield "max_tokens: must be a whole number above 0"
        most = 1
    if not isinstance(body.get("stream", False), bool):
        yield "stream: must be true or false"
    temperature = body.get("temperature")
    if temperature is not None and not (isinstance(temperature, int | float) and 0 <= temperature <= 1):
        yield "temperature: must be a number from 0 to 1"
    thinking = body.get("thinking")
    if thinking is None:
        return
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "disabled", "adaptive"):
        yield "thinking: must be enabled, disabled or adaptive"
    elif thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens")
        if type(budget) is not int or budget < _LEAST_BUDGET:
            yield f"thinking.budget_tokens: must be a whole number from {_LEAST_BUDGET} on"
        elif budget >= most:
            yield "thinking.budget_tokens: must be below max_tokens"
        if temperature not in (None, 1):
            yield "temperature: must be 1 with thinking"


def _tools_faults(tools: Any) -> Iterator[str]:
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        yield "tools: must be a list of objects"
        return
    for name in repeated(tool.get("name") for tool in tools):
        yield f"tools: several are called {name!r}"
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if tool.get("type") not in (None, "custom"):
            continue
        yield from unknown_fields(tool, _TOOL_FIELDS, f"{where}.")
        yield from name_faults(tool.get("name"), _LONGEST_NAME, f"{where}.name")
        yield from schema_faults(tool.get("input_schema"), f"{where}.input_schema")
        if not isinstance(tool.get("description", ""), str):
            yield f"{where}.description: must be text"
        yield from _mark_faults(tool, where)


def _block_faults(block: dict[str, Any], role: str, where: str) -> Iterator[str]:
    kind = block.get("type")
    if kind in _UNCHECKED:
        return
    if kind not in _BLOCKS:
        yield f"{where}.type: {kind!r} is no kind of block"
        return
    owner, wanted, known = _BLOCKS[kind]
    if owner and role in ("user", "assistant") and role != owner:
        yield f"{where}: a {kind} block in a message of the {role}"
    yield from missing_fields(block, wanted, f"{where}.")
    yield from unknown_fields(block, {"type", *wanted, *known}, f"{where}.")
    yield from _mark_faults(block, where)
    match kind:
        case "text":
            if not spoken(block.get("text")):
                yield f"{where}.text: is blank"
        case "image":
            yield from _source_faults(block.get("source"), f"{where}.source")
        case "tool_use":
            yield from name_faults(block.get("id"), _LONGEST_ID, f"{where}.id")
            yield from name_faults(block.get("name"), _LONGEST_NAME, f"{where}.name")
            if not isinstance(block.get("input"), dict):
                yield f"{where}.input: must be an object"
        case "tool_result":
            yield from _result_faults(block, where)
        case "thinking" | "redacted_thinking":
            if not spoken(block.get("signature" if kind == "thinking" else "data")):
                yield f"{where}: a thought without its signature or data"


def _order_faults(kinds: list[Any]) -> Iterator[str]:
    others = [index for index, kind in enumerate(kinds) if kind != "tool_result"]
    if others and "tool_result" in kinds[others[0] :]:
        yield ".content: tool_result blocks must come first"
    if kinds[-1] in _THOUGHTS:
        yield ".content: the last block is a thought"


def _result_faults(block: dict[str, Any], where: str) -> Iterator[str]:
    yield from name_faults(block.get("tool_use_id"), _LONGEST_ID, f"{where}.tool_use_id")
    if not isinstance(block.get("is_error", False), bool):
        yield f"{where}.is_error: must be true or false"
    content = block.get("content", "")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        yield f"{where}.content: must be text or a list of blocks"
        return
    for index, part in enumerate(content):
        at = f"{where}.content[{index}]"
        if isinstance(part, dict) and part.get("type") in ("text", "image", "document", "search_result"):
            yield from _block_faults(part, "", at)
        else:
            yield f"{at}: a result holds text, images and documents only"


def _text_block_faults(block: Any, where: str) -> Iterator[str]:
    if not isinstance(block, dict) or block.get("type") != "text":
        yield f"{where}: must be a text block"
    else:
        yield from _block_faults(block, "", where)


def _source_faults(source: Any, where: str) -> Iterator[str]:
    if not isinstance(source, dict) or source.get("type") not in ("base64", "url", "file"):
        yield f"{where}: must be base64, a url or a file"
    elif source["type"] == "base64":
        yield from image_faults(source.get("media_type"), source.get("data"), where)


def _mark_faults(block: dict[str, Any], where: str) -> Iterator[str]:
    mark = block.get("cache_control")
    if mark is not None and not (isinstance(mark, dict) and mark.get("type") == "ephemeral"):
        yield f"{where}.cache_control: must be ephemeral"
    elif mark is not None and block.get("type") in _THOUGHTS:
        yield f"{where}.cache_control: a thought cannot be marked"
