"""The real template on emulated AWS: ministack in a separate process."""

from local.engine.engine import DeployError, Engine, JumpError, Stack

__all__ = ["DeployError", "Engine", "JumpError", "Stack"]
