"""How well a profile recognises whom it should and leaves everybody else alone, counted by people."""
