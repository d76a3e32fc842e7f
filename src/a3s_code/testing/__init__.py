"""Doubles for tests of agents: models that follow a script or a recording, and a model server on loopback."""

from __future__ import annotations

from a3s_code.providers.recording import RecordingModel
from a3s_code.providers.replay import ReplayModel
from a3s_code.providers.scripted import ScriptedModel
from a3s_code.testing.server import Canned, LoopbackRequest, LoopbackServer

__all__ = ["Canned", "LoopbackRequest", "LoopbackServer", "RecordingModel", "ReplayModel", "ScriptedModel"]
