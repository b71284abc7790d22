"""Graph: the model as a Ray Serve application; `services.graph:build` in a Serve config file."""

from services.graph.application import build, deploy

__all__ = ["build", "deploy"]
