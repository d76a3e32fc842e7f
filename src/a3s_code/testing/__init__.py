"""Doubles for tests of agents: models that follow a script or a recording, and a model server on loopback."""

from __future__ import annotations

from a3s_code.providers.recording import RecordingModel
from a3s_code.providers.replay import ReplayModel
from a3s_code.providers.scripted import ScriptedModel
from a3s_code.testing.clock import FakeClock
from a3s_code.testing.conversation import ConversationScript
from a3s_code.testing.crash import CrashReport, crash_matrix
from a3s_code.testing.faults import FAULTS, Fault, FaultServer
from a3s_code.testing.faulty import FaultyModel
from a3s_code.testing.server import Canned, LoopbackRequest, LoopbackServer, Raw
from a3s_code.testing.stepping import Steps
from a3s_code.testing.validation import prompt_violations, violations

__all__ = [
    "FAULTS",
    "Canned",
    "ConversationScript",
    "CrashReport",
    "FakeClock",
    "Fault",
    "FaultServer",
    "FaultyModel",
    "LoopbackRequest",
    "LoopbackServer",
    "Raw",
    "RecordingModel",
    "ReplayModel",
    "ScriptedModel",
    "Steps",
    "crash_matrix",
    "prompt_violations",
    "violations",
]
