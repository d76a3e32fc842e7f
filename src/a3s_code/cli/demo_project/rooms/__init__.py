"""Which meeting room is free, and when."""
