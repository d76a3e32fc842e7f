"""How long a long configuration takes to read."""

from __future__ import annotations

import time
from collections.abc import Iterator

from a3s_code.config.load import load_config
from benchmarks.figures import Figure
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

MS = 60
LINES = 1_000


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """ACL text of 1,000 lines, read whole: parsed, checked, made into a configuration. The parser is built before."""
    text = _text()
    load_config(text, {})
    taken = []
    for _ in range(sizes.configs):
        started = time.process_time()
        load_config(text, {})
        taken.append((time.process_time() - started) * 1000)
    yield Figure(f"configuration of {len(text.splitlines()):,} lines, processor time", "ms", min(taken), target=MS)


def _text() -> str:
    model = '  models "m{0}" {{\n    name = "Model {0}"\n    limit = {{ context = 200000, output = 8192 }}\n  }}'
    provider = 'providers "p{0}" {{\n  apiKey = "none"\n  baseUrl = "https://p{0}.example/v1"\n{1}\n}}'
    models = "\n".join(model.format(index) for index in range(4))
    blocks = [provider.format(index, models) for index in range(LINES // 20)]
    return "\n".join(['default_model = "p0/m0"', *blocks, ""])
