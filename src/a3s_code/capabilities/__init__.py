"""Capabilities: what the agent can do; each folder exports one Capability."""
