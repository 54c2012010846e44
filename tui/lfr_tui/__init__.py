"""The terminal dashboard: talks to a kernel only through its sockets."""
