"""Compaction: keeping the history inside the model's window."""
