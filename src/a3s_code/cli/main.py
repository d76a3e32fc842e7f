"""The program `a3s-code`: reads the arguments, runs one command, turns what it raises into a message."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from a3s_code import __version__
from a3s_code.cli import demo, policy, trust
from a3s_code.cli.command import Command
from a3s_code.errors import A3SError, InvalidOption

COMMANDS: tuple[Command, ...] = (demo.COMMAND, policy.COMMAND, trust.COMMAND)

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give the exit code: 0 done, 1 failed, 2 misused, 130 interrupted.

    What the parser itself refuses, and `--help` and `--version`, end in SystemExit as everywhere with argparse.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    command: Command | None = arguments.command
    if command is None:
        parser.print_help(sys.stderr)
        return MISUSED
    try:
        code = command.run(arguments)
        sys.stdout.flush()
    except A3SError as error:
        print(f"a3s-code: {explain(error)}", file=sys.stderr)
        return MISUSED if isinstance(error, InvalidOption) else FAILED
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader is gone. Without this the interpreter would try to flush once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; the chosen Command ends up in `command`, None when none was named."""
    parser = argparse.ArgumentParser(prog="a3s-code", description="A harness-driven runtime for coding agents.")
    parser.add_argument("--version", action="version", version=f"a3s-code {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        below = commands.add_parser(command.name, help=command.summary, description=command.summary)
        command.declare(below)
        below.set_defaults(command=command)
    return parser


def explain(error: A3SError) -> str:
    """The error as a line, its hint on a line of its own."""
    text = str(error)
    if error.hint and text.endswith(f" ({error.hint})"):
        return f"{text.removesuffix(f' ({error.hint})')}\n  hint: {error.hint}"
    return text
