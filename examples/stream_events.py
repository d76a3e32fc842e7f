"""Stream a run, and stop it from another task.

Prints:

    Counting: 1 2 3
    cancelled after 3 numbers
    history kept: ['user', 'assistant']
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator

from a3s_code import AsyncAgent
from a3s_code.kernel.messages import Delta, Reply, TextDelta
from a3s_code.kernel.ports import Prompt


class Counting:
    """A model that never ends."""

    name = "my/counting"

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        number = 0
        while True:
            number += 1
            yield TextDelta(f"{number} ")
            await asyncio.sleep(0.01)


async def main() -> None:
    with tempfile.TemporaryDirectory() as workspace:
        async with AsyncAgent.create("") as agent, agent.session(workspace, model=Counting()) as session:
            seen: list[str] = []
            async with session.stream("Count.") as events:
                async for event in events:
                    if event.type == "text_delta":
                        seen.append(event.text.strip())
                        if len(seen) == 3:
                            await session.cancel()
                            break
            print("Counting:", *seen)
            print(f"{(await events.result()).status} after {len(seen)} numbers")
            print(f"history kept: {[message.role for message in await session.history()]}")


if __name__ == "__main__":
    asyncio.run(main())
