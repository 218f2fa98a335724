"""The time of emulated AWS: the real time, and every jump (`Engine.jump`).

The processes that have this time read from one file how far it has jumped: ministack when it
gets a signal, a function before each invocation, an operator's command when it starts. Their
monotonic clocks, and so their timeouts, stay real.

Run as a script it runs a module, as `python -m` does, with this time: ministack. It is also copied
into each function's package, so it imports nothing of this project.
"""

import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from time_machine import Traveller

# The environment variable with the file that holds how many seconds the time has jumped.
CLOCK = "ENGINE_CLOCK"

# Tells ministack that the time has jumped.
JUMPED = signal.SIGUSR1


class Clock:
    """The shift of this process's clock, as given in a file; without the file there is none."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._jumped = 0.0
        self._traveller: Traveller | None = None

    def follow(self) -> None:
        """Shift this process's clock to where it has jumped by now."""
        jumped = read(self.file)
        if jumped == self._jumped:
            return
        # Only here: most engines never jump, and then nothing is patched. It patches the functions
        # of C, so it holds for `clock: … = time.time` as well.
        from time_machine import escape_hatch, travel

        if not self._traveller:
            self._traveller = travel(time.time()).start()
        self._traveller.shift(escape_hatch.time.time() + jumped - time.time())
        self._jumped = jumped


def read(file: Path) -> float:
    """Return the seconds in a file of this module, 0 if there is none."""
    try:
        return float(file.read_text())
    except FileNotFoundError:
        return 0.0


def write(file: Path, jumped: float) -> None:
    """Write such a file atomically, so that nobody reads it half-written."""
    new = file.with_suffix(".new")
    new.write_text(repr(jumped))
    new.replace(file)


def followed(file: Path) -> Path:
    """Return the file in which ministack confirms what it has read from `file`."""
    return file.with_suffix(".followed")


def main() -> None:
    """Run the module that the arguments name, with its own arguments."""
    clock = Clock(Path(os.environ[CLOCK]))

    def follow(*_: object) -> None:
        clock.follow()
        write(followed(clock.file), read(clock.file))

    signal.signal(JUMPED, follow)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
