"""The real template on emulated AWS: ministack in a process of its own."""

from local.engine.engine import DeployError, Engine, Stack

__all__ = ["DeployError", "Engine", "Stack"]
