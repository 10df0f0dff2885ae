"""Version of the equations; part of every answer's digest, raised when any figure changes."""

from typing import Final

ENGINE_VERSION: Final = "0.1.0"
