from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.textual import PrintedCalls, recover

FILE = Path(__file__).parents[2] / "data" / "textual-tool-calls.jsonl"
REPLIES = [json.loads(line) for line in FILE.read_text().splitlines()]
RELEASE = '{"name": "demo", "version": "1.2.0", "tags": ["stable", "cli"], "yanked": false}'
PALINDROME = """def is_palindrome(s):
    # Check if the string reads the same forwards and backwards, ignoring case
    return s.lower() == s[::-1]"""

# By line of the file: the one call in that reply. The other replies hold no call of an offered tool.
CALLS: dict[int, tuple[str, dict[str, Any]]] = {
    2: ("execute", {"command": "python -m pytest -q"}),
    4: ("execute", {"command": "sed -i 's/timeout_seconds = 30/timeout_seconds = 60/' settings.json"}),
    7: ("bash", {"command": "python -m pytest -q"}),
    8: ("edit", {"file_path": "models.py", "old_text": "Usr", "new_text": "User"}),
    11: ("edit", {"file_path": "app.ini", "old_text": "debug", "new_text": "info"}),
    12: ("bash", {"command": "python tool.py --show-version"}),
    13: ("write", {"file_path": "report.txt", "content": "total: 7"}),
    14: (
        "edit",
        {"file_path": "ranges.py", "old_text": "print('Hello, world!')", "new_text": "print('Hello, universe!')"},
    ),
    17: ("write", {"file_path": "settings.json", "content": "timeout_seconds = 30"}),
    18: ("write", {"file_path": "main.py", "content": "print('hello-world')"}),
    21: ("edit", {"file_path": "main.py", "old_text": "slugify", "new_text": "print('hello-world')"}),
    22: ("grep", {"pattern": "RetryPolicy", "path": "src"}),
    23: ("write", {"file_path": "release.json", "content": RELEASE}),
    24: ("write", {"path": "textutil.py", "content": PALINDROME}),
    25: ("read", {"path": "net/policy.py"}),
    26: ("write", {"path": "release.json", "content": RELEASE}),
}


def specs(*names: str) -> tuple[ToolSpec, ...]:
    properties = {"path": {"type": "string"}, "count": {"type": "integer"}, "all": {"type": "boolean"}}
    return tuple(ToolSpec(name, "", {"type": "object", "properties": properties}) for name in names)


def found(text: str, *names: str) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    rest, calls = recover(text, {tool.name: tool for tool in specs(*(names or ("bash", "read")))})
    return rest, [tuple(call) for call in calls]


def streamed(pieces: list[str], tools: tuple[ToolSpec, ...], *, recovering: bool = True) -> tuple[str, list[Any]]:
    printed = PrintedCalls(tools)
    shown = "".join(printed.feed(piece) for piece in pieces)
    rest, calls = printed.finish(recovering=recovering)
    return shown + rest, calls


@pytest.mark.parametrize("line", range(1, len(REPLIES) + 1))
def test_a_real_reply_gives_the_call_it_holds_and_no_other(line: int) -> None:
    reply = REPLIES[line - 1]
    rest, calls = found(reply["text"], *reply["tools_offered"])
    assert calls == ([CALLS[line]] if line in CALLS else [])
    if line not in CALLS:
        assert rest == reply["text"]


@pytest.mark.parametrize("line", sorted(CALLS))
def test_the_text_around_a_real_call_stays_and_the_call_goes(line: int) -> None:
    text = REPLIES[line - 1]["text"]
    rest, _ = found(text, *REPLIES[line - 1]["tools_offered"])
    before = text.partition("```json")[0]
    expected = {
        22: before.rstrip(),
        24: "done",
        25: before.rstrip(),
        26: before + "\nThis function call will create a new file `release.json` with the specified JSON object.",
    }
    assert rest.rstrip() == expected.get(line, "")


@pytest.mark.parametrize("line", range(1, len(REPLIES) + 1))
def test_no_beginning_of_a_real_reply_gives_a_call_that_is_not_whole(line: int) -> None:
    reply = REPLIES[line - 1]
    whole = found(reply["text"], *reply["tools_offered"])[1]
    text = reply["text"].rstrip()
    before: list[Any] = []
    for end in range(len(text)):
        calls = found(text[:end], *reply["tools_offered"])[1]
        assert calls == whole[: len(calls)]
        assert len(calls) <= len(before) or text[end - 1] == "}"
        before = calls


BASH = ("bash", {"command": "ls"})
READ = ("read", {"path": "a.py"})
LS = '{"name": "bash", "arguments": {"command": "ls"}}'
OPEN = '{"name": "read", "arguments": {"path": "a.py"}}'
ECHO = '{"name": "bash", "arguments": {"command": "echo ```"}}'
XML = """<tool_call>
<function=read>
<parameter=path>
a.py
</parameter>
<parameter=count>
3
</parameter>
<parameter=all>
true
</parameter>
</function>
</tool_call>"""


@pytest.mark.parametrize(
    ("text", "calls", "rest"),
    [
        (LS, [BASH], ""),
        ('{"name": "bash", "parameters": {"command": "ls"}}', [BASH], ""),
        ('{"arguments": {"command": "ls"}, "name": "bash"}', [BASH], ""),
        ('{"name": "bash", "arguments": "{\\"command\\": \\"ls\\"}"}', [BASH], ""),
        ('{"type": "function", "function": {"name": "bash", "arguments": {"command": "ls"}}}', [BASH], ""),
        ('{"function": "bash", "arguments": {"command": "ls"}, "id": "1"}', [BASH], ""),
        ("{'name': 'bash', 'arguments': {'command': 'ls'}}", [BASH], ""),
        ("{'name': 'bash', 'arguments': {'a': True, 'b': None}}", [("bash", {"a": True, "b": None})], ""),
        ("{'name': 'bash', 'arguments': {'a': 'say \"it\\'s\"'}}", [("bash", {"a": 'say "it\'s"'})], ""),
        ("{'name': 'bash', 'arguments': {'a': 'a\\x41\\n'}}", [("bash", {"a": "aA\n"})], ""),
        ('{"name": "bash", "arguments": {"command": "ls",},}', [BASH], ""),
        ('{"name": "bash", "arguments": {"command": "a\nb"}}', [("bash", {"command": "a\nb"})], ""),
        ("{" + LS + "}", [BASH], ""),
        ('{{"name": "bash", "arguments": {{"command": "ls"}}}}', [BASH], ""),
        (f"[{LS}, {OPEN}]", [BASH, READ], ""),
        (f"{LS}\n{OPEN}", [BASH, READ], ""),
        (f"```\n{LS}\n```", [BASH], ""),
        (f"See:\n\n~~~json\n{LS}\n~~~\nand wait", [BASH], "See:\n\nand wait"),
        (f"```json\n{LS}", [BASH], ""),
        (f"```json\n{ECHO}\n```", [("bash", {"command": "echo ```"})], ""),
        (f"```json\n{LS}\n```\nthen\n```json\n{OPEN}\n```", [BASH, READ], "then\n"),
        (f"<tool_call>\n{LS}\n</tool_call>", [BASH], ""),
        (f"Sure. <tool_call>{LS}</tool_call> ok", [BASH], "Sure.  ok"),
        (f"<tool_call>{LS}", [BASH], ""),
        (f"```xml\n<tool_call>{LS}</tool_call>\n```", [BASH], ""),
        ('<function=bash>{"command": "ls"}</function>', [BASH], ""),
        (XML, [("read", {"path": "a.py", "count": 3, "all": True})], ""),
        ("<function=read><parameter=path>12</parameter></function>", [("read", {"path": "12"})], ""),
        (f"[TOOL_CALLS][{LS}]", [BASH], ""),
        (f"  [TOOL_CALLS]{LS}", [BASH], ""),
        ('<|python_tag|>{"name": "bash", "parameters": {"command": "ls"}}', [BASH], ""),
    ],
)
def test_well_known_forms_are_recovered(text: str, calls: list[Any], rest: str) -> None:
    assert found(text) == (rest, calls)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "deploy", "arguments": {"command": "ls"}}',
        '{"name": "bash"}',
        '{"name": "bash", "arguments": null}',
        '{"name": "bash", "arguments": ["ls"]}',
        '{"name": "bash", "arguments": {"command": "ls"}, "version": "1.0"}',
        '{"name": "bash", "description": "d", "parameters": {"type": "object", "properties": {}}}',
        '{"name": "bash", "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}}',
        '{"type": "function", "function": {"name": "bash", "description": "d", "parameters": {}}}',
        'Write {"name": "bash", "arguments": {"command": "ls"}} to call it.',
        '{"name": "bash", "arguments": {"command": "ls"}} is how one calls it.',
        '```json\n{"name": "bash", "arguments": {"command": "ls"}}\nis how one calls it\n```',
        '```python\ncall = 1\n{"name": "bash", "arguments": {"command": "ls"}}\n```',
        '```\nfirst\n```json\n{"name": "bash", "arguments": {"command": "ls"}}\n',
        '[{"name": "bash", "arguments": {"command": "ls"}}, {"name": "deploy", "arguments": {}}]',
        '{"name": "bash", "arguments": {"command": "ls"',
        '<function=bash>{"command": "ls"}',
        "<function=read><parameter=path>a.py</parameter>",
        "<function=deploy><parameter=path>a.py</parameter></function>",
        "<tool_call></tool_call>",
        "[1, 2, 3]",
        "{}",
        "[]",
        "`" * 500,
        "{" * 5000,
        "[" * 5000,
        '{"name": "bash", ' * 500,
    ],
)
def test_everything_else_stays_text(text: str) -> None:
    assert found(text) == (text, [])


def test_arguments_keep_what_the_model_wrote() -> None:
    content = 'if x:\n\tprint("```json\\n{}")  # ä 🙂 </tool_call>\n'
    text = "<tool_call>" + json.dumps({"name": "bash", "arguments": {"command": content}}) + "</tool_call>"
    assert found(text) == ("", [("bash", {"command": content})])


PIECES = [
    '{"name": "bash", "arguments": {"command": "ls"}}',
    "{'name': 'read', 'arguments': {'path': 'a'}}",
    '{"name": "deploy", "arguments": {}}',
    '{"name": "demo", "version": 1}',
    "```",
    "```json\n",
    "~~~",
    "`",
    "``",
    "\n",
    "  ",
    "text",
    "<tool_call>",
    "</tool_call>",
    "<function=read><parameter=path>a</parameter></function>",
    "<",
    "<tool",
    "[",
    "{",
    "}",
    "]",
    "[TOOL_CALLS]",
    '"',
    "ä🙂",
]


@settings(derandomize=True, max_examples=600)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.data())
def test_the_split_of_the_text_changes_nothing(text: str, data: st.DataObject) -> None:
    tools = specs("bash", "read")
    whole = streamed([text], tools)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    assert streamed([text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)], tools) == whole
    assert streamed(list(text), tools) == whole
    assert streamed(list(text), tools, recovering=False) == (text, [])
    if not whole[1]:
        assert whole[0] == text


@settings(derandomize=True, max_examples=300)
@given(st.text(alphabet="{}[]\"'`<>=:,\\ \nabcname_toluTrue/01", max_size=80))
def test_no_text_is_too_broken_to_read(text: str) -> None:
    for whole in (text, '{"name": "bash", "arguments": ' + text, "<tool_call>" + text, "```json\n" + text):
        _, calls, *_ = streamed([whole], specs("bash", "read"))
        assert {call.name for call in calls} <= {"bash", "read"}


def test_ordinary_text_is_shown_as_it_comes() -> None:
    printed = PrintedCalls(specs("bash"))
    pieces = ["Here is ", "some `code`", " and\n", "```python\n", "d = {", "}\n", "```\n", "a < b", " [x]\n"]
    shown = [printed.feed(piece) for piece in pieces]
    assert "".join(shown) == "".join(pieces)
    assert shown[:3] == pieces[:3]


def test_a_call_is_held_back_from_its_first_sign() -> None:
    printed = PrintedCalls(specs("bash"))
    assert printed.feed("I run it.\n```json\n{\n") == "I run it.\n"
    assert printed.feed('  "name": "bash",\n "arguments": {"command": "ls"}}\n```\n') == ""
    assert printed.finish(recovering=True) == ("", [("bash", {"command": "ls"})])


def test_plain_json_is_let_go_at_its_first_key() -> None:
    printed = PrintedCalls(specs("bash"))
    assert printed.feed('```json\n{"name": "ba') == ""
    assert printed.feed('nana", "version": 1}\n') == '```json\n{"name": "banana", "version": 1}\n'
