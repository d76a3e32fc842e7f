"""A process is killed in the middle of a run; another opens the session and goes on where the run stood.

Prints:

    the first process was killed with SIGKILL
    the session is listed as interrupted
    events that were heard of and are lost: 0
    the second process: All four steps are done.
    step-1 ran once
    step-2 ran once
    step-3 was cut off: Interrupted before it ended; it may have had effects.
    step-4 ran once
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from a3s_code import Agent, PermissionPolicy
from a3s_code.events import AgentEvent
from a3s_code.kernel.messages import ToolCall
from a3s_code.stores import FileSessionStore
from a3s_code.testing import ConversationScript


def step(number: int, then: str = "") -> list[str | ToolCall]:
    return [f"Step {number}.", ToolCall(f"step-{number}", "bash", {"command": f"echo {number} >> steps.txt{then}"})]


SCRIPT = [step(1), step(2), step(3, "; sleep 10"), step(4), "All four steps are done."]


def begin(folder: Path) -> None:
    """The first process: tells of each event once it is stored."""
    agent = Agent.create("")
    session = agent.session(
        folder / "work",
        session_id="steps",
        session_store=FileSessionStore(folder / "store"),
        model=ConversationScript(SCRIPT),
        permission_policy=PermissionPolicy(allow=["bash"]),
    )

    def tell(event: AgentEvent) -> None:
        print(json.dumps(event.to_dict()), flush=True)

    session.subscribe(tell)
    session.send("Make four steps.")


def go_on(folder: Path, heard: int) -> None:
    """The second process: what was done is known, and is not done again."""
    store = FileSessionStore(folder / "store")
    with Agent.create("") as agent:
        [listed] = agent.sessions(store)
        print(f"the session is listed as {listed.status}")
        session = agent.resume_session(listed.id, session_store=store, model=ConversationScript(SCRIPT))
        [run] = session.runs()
        print(f"events that were heard of and are lost: {max(heard - run.event_count, 0)}")
        print(f"the second process: {session.resume_run(run.id)}")
        lines = (folder / "work" / "steps.txt").read_text().split()
        for record in session.run_events(run.id):
            event = record.event
            if event.type == "tool_end":
                ran = "once" if lines.count(event.id[-1]) == 1 else "not once"
                cut_off = event.error_kind == "interrupted"
                print(f"{event.id} was cut off: {event.output}" if cut_off else f"{event.id} ran {ran}")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("work").mkdir()
        first = subprocess.Popen([sys.executable, __file__, "begin", name], stdout=subprocess.PIPE, text=True)
        assert first.stdout is not None
        heard = 0
        for line in first.stdout:
            heard += 1
            if json.loads(line).get("id") == "step-3":
                break
        time.sleep(0.2)
        first.kill()
        first.stdout.close()
        print(f"the first process was killed with {signal.Signals(-first.wait()).name}", flush=True)
        subprocess.run([sys.executable, __file__, "go on", name, str(heard)], check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["begin", name]:
            begin(Path(name))
        case ["go on", name, heard]:
            go_on(Path(name), int(heard))
        case _:
            main()
