"""Where a configuration comes from."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from a3s_code.config import Config, load_config
from a3s_code.errors import AclError, ConfigError, ConfigNotFound

QUICK_START = """default_model = "anthropic/claude-sonnet-4-20250514"
providers "anthropic" {
apiKey = env("ANTHROPIC_API_KEY")
}
"""

COMPLETE = """default_model = "anthropic/claude-sonnet-4-20250514"
providers "anthropic" {
apiKey = env("ANTHROPIC_API_KEY")
}
skill_dirs = ["./skills"]
mcp_servers = []
ahp = {
enabled = true
url = "http://harness:8080/ahp"
idle_ms = 10_000
}
"""

SERVERS = """mcp_servers = [
{
name = "filesystem"
transport = "stdio"
command = "npx"
args = ["@modelcontextprotocol/server-filesystem", "./workspace"]
}
]
"""


def test_the_quick_start_loads_as_printed(load, folder: Path, told) -> None:
    (folder / "agent.acl").write_text(QUICK_START)
    config = load("agent.acl", environ={"ANTHROPIC_API_KEY": "sk-1"})
    assert config.model_ref() == ("anthropic", "claude-sonnet-4-20250514")
    assert config.providers["anthropic"].model("claude-sonnet-4-20250514").api_key.reveal() == "sk-1"
    assert told(config) == []


def test_the_quick_start_loads_without_its_variable(load, told) -> None:
    config = load(QUICK_START)
    assert config.providers["anthropic"].api_key is None
    (warning,) = told(config)
    assert (warning.line, warning.key) == (3, "providers.anthropic.api_key")
    assert "ANTHROPIC_API_KEY" in config.missing_credential("anthropic").message


def test_the_complete_example_loads_as_printed(load, folder: Path, told) -> None:
    config = load(COMPLETE, environ={"ANTHROPIC_API_KEY": "sk-1"})
    assert config.skill_dirs == (folder / "skills",)
    assert config.mcp_servers == ()
    assert (config.ahp.enabled, config.ahp.url, config.ahp.idle_ms) == (True, "http://harness:8080/ahp", 10_000)
    assert config.ahp.transport == "http"
    assert told(config) == []


def test_the_server_list_loads_as_printed(load) -> None:
    (server,) = load(SERVERS).mcp_servers
    assert (server.name, server.transport, server.command) == ("filesystem", "stdio", "npx")
    assert server.args == ("@modelcontextprotocol/server-filesystem", "./workspace")


def test_a_path_is_a_file_and_text_is_text(load, folder: Path) -> None:
    (folder / "my.acl").write_text('default_model = "file/x"')
    for source in ("my.acl", Path("my.acl"), folder / "my.acl", str(folder / "my.acl")):
        config = load(source)
        assert config.default_model == "file/x"
        assert config.source_path == folder / "my.acl"
        assert not config.found_by_search
    config = load('default_model = "text/x"')
    assert config.default_model == "text/x"
    assert config.source_path is None


@pytest.mark.parametrize(
    "text",
    ['# see agent.acl\nverify = "off"', 'verify = "off" # as in agent.acl', "verify: off\n# agent.acl", "memory{}"],
)
def test_text_may_end_like_a_path_or_hold_no_blank(load, text: str) -> None:
    config = load(text)
    assert config.source_path is None
    assert config.verify == "off" or config.memory is not None


@pytest.mark.parametrize("text", ["", " ", "\n", "\t\n"])
def test_empty_text_is_an_empty_configuration(load, folder: Path, text: str) -> None:
    (folder / "agent.acl").write_text("max_tool_rounds = 2")
    assert load(text) == Config()


def test_a_file_may_have_an_equals_sign_in_its_path(load, folder: Path) -> None:
    (folder / "a=b{c}").mkdir()
    (folder / "a=b{c}" / "x.acl").write_text("verify = off")
    assert load("a=b{c}/x.acl").verify == "off"


def test_an_upper_case_suffix_is_the_same_suffix(load, folder: Path) -> None:
    (folder / "AGENT.ACL").write_text("verify = off")
    assert load("AGENT.ACL").verify == "off"


@pytest.mark.parametrize("source", ["agent", "some words"])
def test_neither_a_path_nor_text_is_refused(load, source: str) -> None:
    with pytest.raises(ConfigError, match="neither") as caught:
        load(source)
    assert ".acl" in (caught.value.hint or "")


@pytest.mark.parametrize("source", [5, b"agent.acl", {"default_model": "a/b"}, ["x"]])
def test_another_kind_of_source_is_refused(load, source: object) -> None:
    with pytest.raises(ConfigError, match=f"found {type(source).__name__}"):
        load(source)


def test_the_search_goes_from_the_variable_to_the_folder_to_the_home(load, folder: Path, home: Path) -> None:
    (home / ".a3s").mkdir()
    (home / ".a3s" / "agent.acl").write_text("max_tool_rounds = 3")
    config = load(None)
    assert (config.max_tool_rounds, config.source_path) == (3, home / ".a3s" / "agent.acl")
    assert config.found_by_search

    (folder / "agent.acl").write_text("max_tool_rounds = 2")
    config = load(None)
    assert (config.max_tool_rounds, config.source_path, config.found_by_search) == (2, folder / "agent.acl", True)

    (home / "named.acl").write_text("max_tool_rounds = 1")
    for named in (str(home / "named.acl"), "~/named.acl", "../home/named.acl"):
        config = load(None, environ={"A3S_CONFIG": named})
        assert config.max_tool_rounds == 1
        assert not config.found_by_search


def test_an_empty_variable_names_nothing(load, folder: Path) -> None:
    (folder / "agent.acl").write_text("max_tool_rounds = 2")
    assert load(None, environ={"A3S_CONFIG": ""}).max_tool_rounds == 2


def test_nothing_found_lists_the_places(load, folder: Path, home: Path) -> None:
    with pytest.raises(ConfigNotFound) as caught:
        load(None)
    for place in ("$A3S_CONFIG", str(folder / "agent.acl"), str(home / ".a3s" / "agent.acl")):
        assert place in caught.value.message


def test_overrides_alone_will_do_where_nothing_is_found(load, folder: Path) -> None:
    config = load(None, {"default_model": "a/b", "sessions_dir": "s"})
    assert (config.default_model, config.sessions_dir) == ("a/b", folder / "s")
    assert (config.source_path, config.found_by_search) == (None, False)
    with pytest.raises(ConfigNotFound):
        load(None, {})
    with pytest.raises(ConfigNotFound):
        load("missing.acl", {"default_model": "a/b"})
    with pytest.raises(ConfigNotFound):
        load(None, {"default_model": "a/b"}, {"A3S_CONFIG": "/nowhere/agent.acl"})


def test_a_variable_that_names_no_file_is_an_error(load, folder: Path) -> None:
    (folder / "agent.acl").write_text("")
    with pytest.raises(ConfigNotFound, match="A3S_CONFIG names") as caught:
        load(None, environ={"A3S_CONFIG": "/nowhere/agent.acl"})
    assert caught.value.file == "/nowhere/agent.acl"
    with pytest.raises(ConfigError, match=r"\.acl, not \.json.*A3S_CONFIG names"):
        load(None, environ={"A3S_CONFIG": "/nowhere/agent.json"})


def test_a_file_that_is_not_there_is_named(load, folder: Path) -> None:
    for source in ("missing.acl", folder / "missing.acl", "a/b/missing.acl"):
        with pytest.raises(ConfigNotFound) as caught:
            load(source)
        assert caught.value.file == str(folder / source)
    (folder / "file.acl").write_text("")
    with pytest.raises(ConfigNotFound):
        load("file.acl/agent.acl")
    with pytest.raises(ConfigNotFound):
        load("a\0b.acl")


@pytest.mark.parametrize("name", ["agent.yaml", "agent.json", "agent.hcl", "agent.acl.txt"])
def test_another_suffix_is_refused_even_where_there_is_no_file(load, name: str) -> None:
    with pytest.raises(ConfigError, match=r"a configuration file is \.acl"):
        load(name)


def test_a_path_without_a_suffix_is_refused(load, folder: Path) -> None:
    (folder / "agent").write_text("")
    with pytest.raises(ConfigError, match="without a suffix"):
        load(folder / "agent")


def test_a_folder_is_refused(load, folder: Path) -> None:
    (folder / "x.acl").mkdir()
    with pytest.raises(ConfigError, match="is a folder") as caught:
        load("x.acl")
    assert caught.value.file == str(folder / "x.acl")


def test_what_is_no_file_is_refused_without_reading_it(load, folder: Path) -> None:
    os.mkfifo(folder / "pipe.acl")
    with pytest.raises(ConfigError, match="is not a file"):
        load("pipe.acl")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.acl"))
        with pytest.raises(ConfigError, match="is not a file"):
            load("s.acl")


def test_a_file_that_cannot_be_read_says_why(load, folder: Path) -> None:
    (folder / "loop.acl").symlink_to("loop.acl")
    with pytest.raises(ConfigError, match="cannot be read: Too many levels"):
        load("loop.acl")
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        load("x" * 300 + ".acl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(load, folder: Path) -> None:
    (folder / "x.acl").write_text("")
    (folder / "x.acl").chmod(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load("x.acl")


def test_a_link_to_a_file_is_followed_and_keeps_its_folder(load, folder: Path, home: Path) -> None:
    (home / "real.acl").write_text('skill_dirs = "s"')
    (folder / "agent.acl").symlink_to(home / "real.acl")
    assert load("agent.acl").skill_dirs == (folder / "s",)


def test_json_text_is_told_apart(load, folder: Path) -> None:
    with pytest.raises(AclError) as caught:
        load('{"default_model": "a/b"}')
    assert "JSON is not ACL" in (caught.value.hint or "")
    (folder / "agent.acl").write_text('{\n  "default_model": "a/b"\n}')
    with pytest.raises(AclError) as caught:
        load("agent.acl")
    assert caught.value.file == str(folder / "agent.acl")
    assert str(caught.value).startswith(f"{folder / 'agent.acl'}:1:1: Unexpected token: LeftBrace")


def test_a_byte_order_mark_is_accepted_and_counted_in_offsets(load, folder: Path) -> None:
    (folder / "agent.acl").write_bytes(b"\xef\xbb\xbfverify = off\r\n")
    assert load("agent.acl").verify == "off"
    (folder / "agent.acl").write_bytes(b"\xef\xbb\xbfa = \xff")
    with pytest.raises(ConfigError, match="offset 7"):
        load("agent.acl")


def test_utf16_is_refused_at_its_first_byte(load, folder: Path) -> None:
    (folder / "agent.acl").write_text("verify = off", encoding="utf-16")
    with pytest.raises(ConfigError, match="offset 0") as caught:
        load("agent.acl")
    assert caught.value.hint == "save the file as UTF-8"


def test_undecodable_bytes_do_not_travel_with_the_error(load, folder: Path) -> None:
    (folder / "agent.acl").write_bytes(b'apiKey = "hunter2"\xff')
    with pytest.raises(ConfigError) as caught:
        load("agent.acl")
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


def test_a_file_over_the_limit_is_refused_without_reading_all_of_it(load, folder: Path) -> None:
    path = folder / "big.acl"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AclError) as caught:
        load("big.acl")
    assert caught.value.code == "acl.limit.document_bytes"
    path.write_bytes(b"\xef\xbb\xbf" + (b"#" + b"\xc3\xa9" * 511 + b"\n") * 1024)
    assert load("big.acl").default_model is None
    path.write_bytes(b"\xff" * (1024 * 1024 + 1))
    with pytest.raises(AclError) as caught:
        load("big.acl")
    assert caught.value.code == "acl.limit.document_bytes"


def test_paths_start_at_the_folder_of_their_file_or_where_we_are(load, folder: Path, home: Path) -> None:
    there = home / "conf"
    there.mkdir()
    (there / "agent.acl").write_text(
        'skill_dirs = ["./a", "/b", "~/c", "~", "../d"]\nsessions_dir = "s"\nmemory_dir = "m"\nstorage_url = "u"\n'
        'providers "replay" { path = "r.jsonl" }\nqueue { storage_path = "q" }\nahp { path = "sock" }\n'
    )
    config = load(there / "agent.acl", {"agent_dirs": ["x"], "providers": {"other": {"path": "y"}}})
    assert config.skill_dirs == (there / "a", Path("/b"), home / "c", home, there / "../d")
    assert (config.sessions_dir, config.memory_dir) == (there / "s", there / "m")
    assert config.storage_url == str(there / "u")
    assert config.providers["replay"].path == there / "r.jsonl"
    assert config.queue.storage_path == there / "q"
    assert config.ahp.path == there / "sock"
    assert config.agent_dirs == (folder / "x",)
    assert config.providers["other"].path == folder / "y"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('storage_url = "sqlite:///x"', "sqlite:///x"),
        ('storage_backend = "custom" storage_url = "redis"', "redis"),
        ('storage_url = "/abs"', "/abs"),
    ],
)
def test_a_storage_url_is_a_path_for_files_only(load, text: str, expected: str) -> None:
    assert load(text).storage_url == expected


def test_paths_in_text_start_where_we_are(load, folder: Path) -> None:
    assert load('sessions_dir = "s"').sessions_dir == folder / "s"


def test_the_process_gives_what_is_not_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "h"
    (home / ".a3s").mkdir(parents=True)
    (home / ".a3s" / "agent.acl").write_text('skill_dirs = "~/s"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("A3S_CONFIG", raising=False)
    assert load_config(None).skill_dirs == (home / "s",)
    (tmp_path / "agent.acl").write_text('skill_dirs = "s"')
    assert load_config(None).skill_dirs == (tmp_path / "s",)
    (tmp_path / "other.acl").write_text('skill_dirs = "t"')
    monkeypatch.setenv("A3S_CONFIG", "other.acl")
    config = load_config(None)
    assert (config.skill_dirs, config.source_path) == ((tmp_path / "t",), tmp_path / "other.acl")


def test_importing_and_parsing_load_only_what_they_need() -> None:
    heavy = "{'lark', 'pydantic', 'anthropic', 'openai', 'httpx', 'httpx2', 'mcp', 'yaml', 'jsonschema'}"
    program = (
        "import sys\n"
        "import a3s_code.config as config\n"
        f"print(sorted({heavy} & set(sys.modules)))\n"
        "config.load_config('verify = off', environ={})\n"
        f"print(sorted({heavy} & set(sys.modules)))\n"
        "boxes = {name.split('.')[1] for name in sys.modules if name.startswith('a3s_code.')}\n"
        "print(sorted(boxes - {'config', 'kernel', 'errors'}))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.splitlines() == ["[]", "['lark']", "[]"]
