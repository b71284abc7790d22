"""Model: how a worker asks the model, in its own process or over HTTP."""
