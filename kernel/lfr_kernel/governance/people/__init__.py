"""People: who is on the roster, what each role may do, and the sessions that acts are signed in."""
