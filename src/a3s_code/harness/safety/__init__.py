"""Safety: which calls may run (`gate`, `permissions`), and what may be said of them (`sanitize`)."""
