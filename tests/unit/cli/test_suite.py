"""What a suite showed is read from the output of a real one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from a3s_code.cli.suite import SuiteResult, read_suite

SUITE = """
import unittest


class Sums(unittest.TestCase):
    def test_two(self):
        self.assertEqual(1 + 1, {two})

    def test_three(self):
        "A test with a docstring."
        self.assertEqual(3, {three})

    def test_many(self):
        for number in (1, 2):
            with self.subTest(number=number):
                self.assertEqual(number, {many})
"""


def run(folder: Path, text: str, python: str = sys.executable) -> SuiteResult:
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").touch()
    (folder / "tests" / "test_sums.py").write_text(text)
    done = subprocess.run([python, "-m", "unittest", "-q"], cwd=folder, capture_output=True, text=True, check=False)
    return read_suite(done.stdout + done.stderr, done.returncode)


def test_a_suite_that_passes(tmp_path: Path) -> None:
    suite = run(tmp_path, SUITE.format(two=2, three=3, many="number"))
    assert suite.passed
    assert not suite.failed
    assert str(suite) == "3 tests pass"


def test_failing_tests_are_named_once_each(tmp_path: Path) -> None:
    suite = run(tmp_path, SUITE.format(two=2, three=4, many=7))
    assert suite.failed
    assert not suite.passed
    assert [test.name for test in suite.failing] == ["test_many", "test_three"]
    assert {test.place for test in suite.failing} == {"tests.test_sums.Sums"}
    assert str(suite) == "2 of 3 tests fail"


@pytest.mark.skipif(shutil.which("python3") is None, reason="there is no python3 on the PATH")
def test_the_python_on_the_path_is_read_as_well(tmp_path: Path) -> None:
    suite = run(tmp_path, SUITE.format(two=3, three=3, many="number"), python="python3")
    assert [(test.name, test.place) for test in suite.failing] == [("test_two", "tests.test_sums.Sums")]


def test_a_module_that_does_not_import_is_a_failure(tmp_path: Path) -> None:
    suite = run(tmp_path, "import a_module_that_is_not_there\n")
    assert suite.failed


def test_a_suite_without_tests_neither_passes_nor_fails(tmp_path: Path) -> None:
    suite = run(tmp_path, "")
    assert not suite.passed
    assert not suite.failed


def test_output_of_something_else_neither_passes_nor_fails() -> None:
    for code in (0, 127, None):
        suite = read_suite("bash: line 1: python3: command not found", code)
        assert not suite.passed
        assert not suite.failed
        assert str(suite) == "the tests did not run"


def test_a_suite_that_says_ok_and_exits_with_1_has_not_passed() -> None:
    assert not read_suite("Ran 3 tests in 0.001s\n\nOK\n", 1).passed
