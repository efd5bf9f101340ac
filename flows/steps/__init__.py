"""Single steps: each builds a command (pure) and runs it. Flows order them."""
