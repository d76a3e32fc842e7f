"""The model providers: two wire formats over HTTP, and the doubles that need no network."""
