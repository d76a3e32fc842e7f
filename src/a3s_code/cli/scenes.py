"""The parts of the demo as a reader sees them: the rules, the tests, the change, the proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from a3s_code.api.results import AgentResult
from a3s_code.cli.screen import Screen, Span, Tone
from a3s_code.cli.suite import SuiteResult
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Check, Verdict

LABEL_WIDTH = 9
VERDICT_TONES: dict[Verdict, Tone] = {"verified": "good", "failed": "bad"}


def write_title(screen: Screen, title: str, aside: str = "") -> None:
    """The heading of a part, with a rule to the right margin."""
    used = len(title) + 1 + (len(aside) + 1 if aside else 0)
    rule = screen.signs.rule * max(screen.width - used - 1, 3)
    spans: list[Span] = [("\n", "plain"), (title, "strong"), (f" {rule}", "mark")]
    screen.write(*spans, (f" {aside}" if aside else "", "quiet"), ("\n", "plain"))


def write_sentence(screen: Screen, text: str, tone: Tone) -> None:
    """A sentence over the whole width; of one line where nobody reads it on a terminal."""
    lines = wrap(text, max(screen.width - 1, 20)) if screen.paced else [text]
    screen.write(("\n".join(lines) + "\n", tone))


def write_row(screen: Screen, label: str, text: str, tone: Tone = "plain") -> None:
    """A label and what it stands for, wrapped beneath itself."""
    lines = wrap(text, max(screen.width - LABEL_WIDTH - 3, 20), break_on_hyphens=False) or [""]
    for index, line in enumerate(lines):
        screen.write((f"  {label if index == 0 else '':<{LABEL_WIDTH}}", "quiet"), (f"{line}\n", tone))


def write_policy(screen: Screen, policy: PermissionPolicy, checks: Sequence[Check]) -> None:
    """The rules the session runs under and the checks that must pass, as they were given."""
    whole_tools = [rule for rule in policy.allow if "(" not in rule]
    write_row(screen, "allow", ", ".join(whole_tools))
    for rule in policy.allow:
        if rule not in whole_tools:
            write_row(screen, "", rule)
    for outcome, rules in (("ask", policy.ask), ("deny", policy.deny)):
        if rules:
            write_row(screen, outcome, ", ".join(rules))
    write_row(screen, str(policy.default_decision), "everything else")
    for check in checks:
        write_row(screen, "check", f"{check.command} must pass after the last change")


def write_suite(screen: Screen, label: str, suite: SuiteResult, aside: str = "") -> None:
    """How the tests went, and the names of those that failed."""
    used = len(str(suite)) + LABEL_WIDTH + 5 + len(aside)
    screen.write(
        (f"  {label:<{LABEL_WIDTH}}", "quiet"),
        (str(suite), "good" if suite.passed else "bad"),
        (f"   {aside}" if aside and used < screen.width else "", "quiet"),
        ("\n", "plain"),
    )
    names = max((len(test.name) for test in suite.failing), default=0)
    for test in suite.failing:
        fits = LABEL_WIDTH + 4 + names + len(test.place) < screen.width
        screen.write((f"  {'':<{LABEL_WIDTH}}{test.name:<{names if fits else 0}}", "plain"))
        screen.write((f"  {test.place}\n" if fits else "\n", "quiet"))


def write_diff(screen: Screen, lines: Iterable[str]) -> None:
    """A unified diff, or the word that nothing changed."""
    empty = True
    for line in lines:
        screen.write((f"  {line}\n", _diff_tone(line)))
        empty = False
    if empty:
        screen.write(("  No file was changed.\n", "warn"))


def _diff_tone(line: str) -> Tone:
    if line.startswith(("---", "+++")):
        return "strong"
    if line.startswith("@@"):
        return "code"
    return "good" if line.startswith("+") else "bad" if line.startswith("-") else "quiet"


def write_proof(screen: Screen, before: SuiteResult, after: SuiteResult, result: AgentResult, *, live: bool) -> None:
    """The tests before and after, every check, the verdict, and of a live model the tokens."""
    write_row(screen, "before", str(before), "bad")
    write_suite(screen, "after", after)
    for report in result.verification.reports:
        tone: Tone = "good" if report.status == "passed" else "bad"
        took = f"{report.duration_ms / 1000:.1f} s"
        write_row(screen, "check", f"{report.id}: {report.status}, `{report.command}` in {took}", tone)
    write_row(screen, "denied", f"{len(result.denied)} of {result.tool_calls_count} calls")
    if live:
        usage = result.usage
        tokens = f"{usage.prompt_tokens:,} in, {usage.output_tokens:,} out"
        write_row(screen, "tokens", tokens if result.cost is None else f"{tokens}, cost {result.cost:.4f}")
    if result.status != "completed":
        write_row(screen, "run", result.status.replace("_", " "), "warn")
    for risk in result.residual_risks:
        write_row(screen, "risk", risk, "warn")
    write_row(screen, "verdict", result.verdict, VERDICT_TONES.get(result.verdict, "warn"))
