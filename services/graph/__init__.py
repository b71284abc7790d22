"""Graph: the model as a Ray Serve application; `services.graph:build` in a Serve config file.

Ray is imported with the application, not with this package: who asks the graph has none.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray import serve


def build(args: Mapping[str, Any]) -> "serve.Application":
    """See `services.graph.application.build`."""
    from services.graph.application import build as build_application

    return build_application(args)
