"""Moving a server to another version: plan, preflight, rehearsal, switch, the way back, and what clients see of it."""
