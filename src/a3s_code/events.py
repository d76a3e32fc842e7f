"""The event classes, for hosts: `from a3s_code.events import TextDelta`."""

from a3s_code.kernel.events import *  # noqa: F403  # that list under its public name
from a3s_code.kernel.trace import RunEventRecord as RunEventRecord
from a3s_code.kernel.trace import RunSnapshot as RunSnapshot
