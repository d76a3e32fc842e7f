"""Makes the recording that `a3s-code demo` plays: python tools/record_demo.py [PATH]

The replies are written here; the recording is what a run of the demo makes of them. It fails where that run does not
end verified.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from a3s_code.cli.demo import RECORDING, TESTS, Demo, run_demo
from a3s_code.cli.screen import PlainScreen
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import RecordingModel, ScriptedModel

PROBE = "from rooms.intervals import Interval, merge; print(merge([Interval(540, 720), Interval(600, 630)]))"
SHORTENED = "merged[-1] = Interval(merged[-1].start, interval.end)"
KEPT = "merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))"


def call(number: int, name: str, **arguments: Any) -> ToolCall:
    return ToolCall(f"call_{number}", name, arguments)


SUSPICION = (
    "I suspect `merge`: it takes the end of the later interval, even where the earlier one ends after it. No test of"
    " `merge` puts one interval inside another. A quick try would settle it."
)
ANSWER = (
    "Fixed. `merge` in `rooms/intervals.py` cut a long booking off at the end of a shorter one inside it, so the rest"
    " of the workshop looked free. It now keeps the later of the two ends. All tests pass, and I changed none of them."
)
REPLIES: list[Any] = [
    ["I start with what fails.", call(1, "bash", command=TESTS)],
    [
        "Both tests get a slot that begins at 10:30, where the coffee ends, while the workshop goes on until 12:00.",
        " The board only prints slots, so I look at where they come from.",
        call(2, "grep", pattern=r"(free_slots|merge|gaps)\(", path="rooms"),
        call(3, "read", file_path="rooms/availability.py"),
        call(4, "read", file_path="tests/test_availability.py"),
    ],
    [
        "`free_slots` takes what `merge` returns for granted. If `merge` loses time, the room looks free.",
        call(5, "read", file_path="rooms/intervals.py"),
        call(6, "read", file_path="tests/test_intervals.py"),
    ],
    [SUSPICION, call(7, "bash", command=f'python3 -c "{PROBE}"')],
    [
        "That command is not allowed here, and it is not needed: the failing test does the same.",
        " A merged interval has to end where the later of the two ends.",
        call(8, "edit", file_path="rooms/intervals.py", old_string=SHORTENED, new_string=KEPT),
    ],
    ["Now the whole suite.", call(9, "bash", command=TESTS)],
    ANSWER,
]


def record(path: Path) -> int:
    """Run the demo on the replies above and write the recording to `path`; the demo's exit code."""
    model = ScriptedModel(REPLIES, name="recorded/author")
    demo = Demo(model=lambda folder: RecordingModel(model, path, workspace=folder))
    return run_demo(demo, PlainScreen(sys.stdout))


if __name__ == "__main__":
    sys.exit(record(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDING))
