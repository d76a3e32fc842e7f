"""Patches: read from text, found their places, and carried out all or not at all."""
