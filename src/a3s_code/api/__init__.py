"""The API: what a user holds."""
