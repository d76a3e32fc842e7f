"""A fresh process that makes an agent and gets one answer, beside one that does it with the bare SDK."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping

from benchmarks import subject
from benchmarks.figures import Figure
from benchmarks.measure import Child, Samples, child
from benchmarks.server import ScriptedServer, answer_to, model_name
from benchmarks.sizes import Sizes

OF_THE_SDK = 1.5
OF_A_PEER = 0.5

OURS = """
import sys
from a3s_code import Agent
configuration, folder, prompt = sys.argv[1:]
agent = Agent.create(configuration)
print(agent.session(folder).send(prompt).text)
"""
BARE = """
import asyncio, sys
import openai
url, model, prompt = sys.argv[1:]
async def main():
    async with openai.AsyncOpenAI(api_key="none", base_url=url) as client:
        message = {"role": "user", "content": prompt}
        stream = await client.chat.completions.create(model=model, messages=[message], stream=True)
        print("".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]))
asyncio.run(main())
"""
PYDANTIC_AI = """
import sys
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
url, model, prompt = sys.argv[1:]
agent = Agent(OpenAIChatModel(model, provider=OpenAIProvider(base_url=url, api_key="none")))
print(agent.run_sync(prompt).output)
"""


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """All contestants by turns, from the start of the process to its end; the file cache is warm.

    The floor imports openai, makes an AsyncOpenAI client and prints one streamed answer. Pydantic AI is measured where
    it is installed.
    """
    prompt = subject.prompt()
    with tempfile.TemporaryDirectory() as folder:
        sdk = (f"{server.url}/v1", model_name(1, 8), prompt)
        scripts = {"ours": (OURS, (subject.configuration(server.url), folder, prompt)), "bare": (BARE, sdk)}
        if importlib.util.find_spec("pydantic_ai") is not None:
            scripts["pydantic-ai"] = (PYDANTIC_AI, sdk)
        children: dict[str, list[Child]] = {name: [] for name in scripts}
        for _ in range(sizes.answers + 1):
            for name, (script, arguments) in scripts.items():
                done = child("-c", script, *arguments)
                assert done.output.startswith(answer_to(prompt)), done.output
                children[name].append(done)
    walls = {name: Samples(tuple(done.wall_ms for done in runs[1:])) for name, runs in children.items()}
    works = {name: Samples(tuple(done.processor_ms for done in runs[1:])) for name, runs in children.items()}
    yield from _figures("process to first answer, processor time", works, lambda samples: samples.least, gates=True)
    yield from _figures("process to first answer, wall time", walls, lambda samples: samples.middle, gates=False)


def _figures(
    what: str, samples: Mapping[str, Samples], value: Callable[[Samples], float], *, gates: bool
) -> Iterator[Figure]:
    ours, bare, peer = samples["ours"], samples["bare"], samples.get("pydantic-ai")
    noise = max(ours.noise, bare.noise)
    yield Figure(f"{what}, by the bare SDK", "ms", value(ours), value(bare), OF_THE_SDK, gates=gates, noise=noise)
    if peer is not None:
        yield Figure(f"{what}, by Pydantic AI", "ms", value(ours), value(peer), OF_A_PEER, noise=peer.noise)
