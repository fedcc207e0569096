"""Serving: the gateway, its batching and protocols. A served model is an endpoint; every reply names its digest."""

from modelyard.serving.asgi import build_app
from modelyard.serving.endpoint import ModelSource
from modelyard.serving.server import serve
from modelyard.serving.settings import ServingSettings

__all__ = ["ModelSource", "ServingSettings", "build_app", "serve"]
