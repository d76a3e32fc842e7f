"""The `a3s-code` command."""
