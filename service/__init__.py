"""pertoken: what one token of a language model costs, and why."""
