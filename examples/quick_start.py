"""The quick start, offline: a server on loopback plays the model, everything else is as in a product.

Prints:

    Errors are raised in auth.py and handled in app.py.
    completed, not_applicable, 2 turns, 2 tool calls
    agent_start turn_start tool_start tool_start tool_end tool_end turn_end turn_start turn_end agent_end
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from a3s_code import Agent
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import LoopbackServer

REPLIES: list[str | list[str | ToolCall]] = [
    [
        "Two searches, at once.",
        ToolCall("call_1", "grep", {"pattern": "AuthError"}),
        ToolCall("call_2", "read", {"file_path": "app.py"}),
    ],
    "Errors are raised in auth.py and handled in app.py.",
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, LoopbackServer(REPLIES) as server:
        project = Path(folder)
        (project / "auth.py").write_text("class AuthError(Exception): ...\n")
        (project / "app.py").write_text("try:\n    login()\nexcept AuthError:\n    retry()\n")
        (project / "agent.acl").write_text(f"""
            default_model = "anthropic/claude-sonnet-4-20250514"

            providers "anthropic" {{
              apiKey = env("ANTHROPIC_API_KEY", "no-key-needed-on-loopback")
              baseUrl = "{server.base_url}"
            }}
        """)
        with Agent.create(project / "agent.acl") as agent, agent.session(project) as session:
            result = session.send(
                {
                    "prompt": "Find where authentication errors are handled and summarize the flow",
                }
            )
            print(result.text)
            print(f"{result.status}, {result.verdict}, {result.turns} turns, {result.tool_calls_count} tool calls")
            latest = session.runs()[-1]
            types = [record.event.type for record in session.run_events(latest["id"])]
            print(*[name for name in types if not name.endswith(("_delta", "_resolved"))])


if __name__ == "__main__":
    main()
