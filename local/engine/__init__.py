"""The real template on emulated AWS: ministack in a separate process."""

from local.engine.engine import DeployError, Engine, Stack
from local.engine.jumping import EngineTime, JumpError

__all__ = ["DeployError", "Engine", "EngineTime", "JumpError", "Stack"]
