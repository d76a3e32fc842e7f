"""The event classes, for hosts: `from a3s_code.events import TextDelta`."""

from a3s_code.kernel import events as _events
from a3s_code.kernel.events import *  # noqa: F403 - this module is that list under its public name
from a3s_code.kernel.trace import RunEventRecord, RunSnapshot

__all__ = [*_events.__all__, "RunEventRecord", "RunSnapshot"]
