"""Tools of your own: a function, and a class; one declares what it does, the other is asked about.

Prints:

    add: 5
    deploy: Not allowed
    reason: it gives something to others, and no allow rule names it
    with that rule: deployed main to staging
"""

from __future__ import annotations

import tempfile
from typing import Annotated

from pydantic import BaseModel, Field

from a3s_code import Agent, PermissionPolicy, tool
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import ScriptedModel
from a3s_code.tools import Effect, Tool, ToolContext, ToolOutput


@tool(effects=())
def add(left: int, right: Annotated[int, Field(description="what is added")]) -> int:
    """Add two numbers."""
    return left + right


class Deploy(Tool):
    name = "deploy"
    description = "Deploy a branch."

    class Args(BaseModel):
        branch: str
        stage: str = "staging"

    def effects(self, args: Args, workspace: object) -> tuple[Effect, ...]:
        return (Effect("release", f"{args.branch} to {args.stage}"),)

    async def invoke(self, args: Args, context: ToolContext) -> ToolOutput:
        return ToolOutput(f"deployed {args.branch} to {args.stage}")


def main() -> None:
    calls = [ToolCall("1", "add", {"left": 2, "right": 3}), ToolCall("2", "deploy", {"branch": "main"})]
    with tempfile.TemporaryDirectory() as workspace, Agent.create("") as agent:
        session = agent.session(workspace, model=ScriptedModel([calls, "done"]), tools=[add, Deploy()])
        result = session.send("Add, then deploy.")
        added, deployed = session.history()[2].text.splitlines()
        print(f"add: {added}")
        print(f"deploy: {deployed.split(':')[0]}")
        print(f"reason: {result.denied[0].reason.removesuffix('; nobody can be asked in this session')}")

        policy = PermissionPolicy(allow=["deploy"])
        session = agent.session(
            workspace, model=ScriptedModel([calls[1:], "done"]), tools=[Deploy()], permission_policy=policy
        )
        session.send("Deploy.")
        print(f"with that rule: {session.history()[2].text}")


if __name__ == "__main__":
    main()
