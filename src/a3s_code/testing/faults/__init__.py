"""Faults of model servers by name, and a server that makes them."""

from __future__ import annotations

from a3s_code.testing.faults.fault import Fault
from a3s_code.testing.faults.server import FAULTS, FaultServer

__all__ = ["FAULTS", "Fault", "FaultServer"]
