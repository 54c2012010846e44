"""The deployment record: what happened, counted from the chain, signed, and put into words and figures."""
