"""A conversation in nothing but text, for models without structured calls: tools described, calls written out."""

from __future__ import annotations

from a3s_code.kernel.messages import Message, Observation, Text, ToolCall
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.wire import dumps

_HOW = """To use a tool, answer with the call alone, written exactly like this, and wait for its result:
<tool_call>
{"name": "TOOL", "arguments": {"ARGUMENT": "VALUE"}}
</tool_call>
The tools, one a line:"""


def describe(system: str, tools: tuple[ToolSpec, ...]) -> str:
    """The system text with the tools described in it."""
    if not tools:
        return system
    lines = [
        dumps({"name": tool.name, "description": tool.description, "parameters": tool.parameters}).decode()
        for tool in tools
    ]
    return "\n\n".join(part for part in (system, "\n".join((_HOW, *lines))) if part)


def speak(message: Message) -> Message:
    """The same message with its calls and results as text."""
    if message.role == "tool":
        results = [part for part in message.parts if isinstance(part, Observation)]
        images = tuple(image for result in results for image in result.images)
        return Message.user("\n".join(map(_result, results)), images)
    parts = tuple(Text(_call(part)) if isinstance(part, ToolCall) else part for part in message.parts)
    return Message(message.role, parts)


def _call(call: ToolCall) -> str:
    body = dumps({"name": call.name, "arguments": call.arguments}).decode()
    return f"<tool_call>\n{body}\n</tool_call>\n"


def _result(result: Observation) -> str:
    status = ' failed="true"' if result.failed else ""
    return f'<tool_response name="{result.name}"{status}>\n{result.output}\n</tool_response>'
