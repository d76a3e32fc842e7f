"""Verification: whether the work is proved (`verifier`), by which checks (`checks`)."""
