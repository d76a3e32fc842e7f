"""Ready-made ways to ask a person: `from a3s_code.confirmers import TerminalConfirmer`."""

from a3s_code.api.confirmers import NotebookConfirmer, TerminalConfirmer
from a3s_code.harness.safety.confirmation import PendingConfirmation
from a3s_code.kernel.contracts import Confirmation

__all__ = ["Confirmation", "NotebookConfirmer", "PendingConfirmation", "TerminalConfirmer"]
