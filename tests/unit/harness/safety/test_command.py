"""Shell text split into simple commands."""

from __future__ import annotations

import random

import pytest

from a3s_code.harness.safety.command import split
from a3s_code.harness.safety.shell import read_command


def texts(command: str) -> list[str]:
    return [" ".join(word.text for word in part.words) for part in split(command).parts]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls -la", ["ls -la"]),
        ("a;b&&c||d|e&f\ng", ["a", "b", "c", "d", "e", "f", "g"]),
        ("a 'x;y' \"p&&q\" r\\|s", ["a x;y p&&q r|s"]),
        ("r''m \"-r\"f \\\n build", ["rm -rf build"]),
        ("echo a#b # ; rm\nls", ["echo a#b", "ls"]),
        ("$'\\x72\\155' $\"x\"", ["rm x"]),
        ("echo 'a\\' ; rm ; echo 'b'", ["echo a\\", "rm", "echo b"]),
        ('echo "a \\" ; rm \\" b"', ['echo a " ; rm " b']),
        ("(a; (b))", ["a", "b"]),
        ("a $(b $(c)) `d`", ["c", "b $()", "d", "a $() $()"]),
        ('a "x $(b) y"', ["b", "a x $() y"]),
        ("a <(b) >(c)", ["b", "c", "a $() $()"]),
        ("X=1 Y='2 3' a", ["a"]),
        ("a ${x:-$(b)}", ["b", "a ${x:-$(b)}"]),
        ("cat <<E\n$(a) 'b\nE\nc", ["cat", "a", "c"]),
        ("cat <<'E'\n$(a)\nE\nc", ["cat", "c"]),
        ("cat <<-E\n\ta\n\tE\nb", ["cat", "b"]),
        ("case x in a) b;; (c) d;; esac", ["case x in a", "b", "c", "d", "esac"]),
        ("a 2>&1 >x <y b", ["a b"]),
    ],
)
def test_every_simple_command_is_found(command: str, expected: list[str]) -> None:
    assert texts(command) == expected
    assert split(command).fault == ""


def test_redirections_are_kept_apart_from_the_words() -> None:
    (part,) = split("a 2>&1 >x 2>> y <z &>w >|v <>u").parts
    found = [(item.operator, item.target.text) for item in part.redirections]
    assert found == [(">&", "1"), (">", "x"), (">>", "y"), ("<", "z"), ("&>", "w"), (">|", "v"), ("<>", "u")]


def test_words_say_whether_their_text_is_what_the_program_gets() -> None:
    (part,) = split("a 'b$c' $d *e \"*\" {f,g} {} [ [x] ~/h ~root").parts
    fixed = {word.text: word.fixed for word in part.words}
    assert fixed == {
        "a": True,
        "b$c": True,
        "$d": False,
        "*e": False,
        "*": True,
        "{f,g}": False,
        "{}": True,
        "[": True,
        "[x]": False,
        "~/h": True,
        "~root": False,
    }


@pytest.mark.parametrize(
    "command",
    [
        "",
        " \n\t",
        "# only this",
        "echo 'x",
        'echo "x',
        "echo `x",
        "echo $(x",
        "(x",
        "x)",
        "x &&",
        "x |",
        "&& x",
        "x ;; y",
        "x ; ; y",
        "cat <<E",
        "cat <<E\nx",
        "for do done",
        "if x; then y",
        "x; fi",
        "x >",
        "x \\",
        "x ${y",
        "a\0b",
        "a \ud800",
        "$(" * 200 + "a" + ")" * 200,
    ],
)
def test_what_bash_would_not_take_is_a_fault(command: str) -> None:
    assert split(command).fault


@pytest.mark.parametrize("command", ["a; b && c | d || e\nf", "a 'b' \"c\" # d", "X=1 a", "a 2>&1 >x", "a $b *"])
def test_lists_of_simple_commands_are_plain(command: str) -> None:
    assert split(command).plain


@pytest.mark.parametrize(
    "command",
    [
        "a & b",
        "(a)",
        "{ a; }",
        "a $(b)",
        "a `b`",
        "if a; then b; fi",
        "! a",
        "f() { a; }",
        "a <(b)",
        "a ${b:-c}",
        "cat <<E\nE",
        "a <<< b",
        "a |& b",
        "[[ a ]]",
        "((1))",
        "a $((1))",
        "coproc a",
        "x=(a b)",
    ],
)
def test_anything_else_is_not_plain(command: str) -> None:
    assert not split(command).plain


@pytest.mark.parametrize("char", ["\r", "\x1b", "\x7f", "\u202e", "\u200b", "\ufeff", "\x85"])
def test_characters_that_hide_text_are_noticed(char: str) -> None:
    assert split(f"ls {char}").odd
    assert not split("ls\t\u00e9\n").odd


PIECES = "a 'b' \" ' \\ $ ` ( ) { } ; & | < > \n # << <<E E $( ${ $(( if then fi case esac do done [[ = ~ * $'".split(
    " "
)
PIECES += ["\0", "\ud800", "\u202e"]


def test_random_junk_never_raises() -> None:
    random_source = random.Random(7)
    for _ in range(3000):
        junk = "".join(
            random_source.choice(PIECES) + random_source.choice(["", " "]) for _ in range(random_source.randint(0, 12))
        )
        reading = read_command(junk)
        assert reading.command is split(junk) or reading.command == split(junk)


@pytest.mark.parametrize(
    "unit", ["true ; ", "ls|", "echo $(x) ", "a[;", "sudo ", "timeout 5 ", "! ", "'", "a\n", "cd a; ", "eval "]
)
def test_long_commands_take_bounded_time(unit: str) -> None:
    # A quadratic step would take minutes here.
    reading = read_command(unit * (100_000 // len(unit)))
    assert reading.parts or reading.command.fault
