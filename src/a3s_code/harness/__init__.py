"""The harness: one module for each judgement that the kernel delegates."""
