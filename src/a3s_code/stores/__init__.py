"""Stores: where outputs and records are kept."""
