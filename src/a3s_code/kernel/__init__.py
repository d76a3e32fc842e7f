"""The runtime kernel: the loop, the executor, state, events, trace. It imports nothing but `a3s_code.errors`."""
