"""Context: the one door for prompt text."""
