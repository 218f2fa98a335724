"""`python -m local run`, `python -m local up` and `python -m local portal`."""

import signal
import sys
from types import FrameType

import click

from local.portal.cli import portal_command
from local.rehearse import rehearse_command
from local.run import run_command
from local.soak import soak_command
from local.up import up_command

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Everything on one machine: emulated AWS with the real template, and a simulated portal."""
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    """Leave by way of every context, so that no emulator and no portal is left running."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)  # what is being closed is closed to the end
    sys.exit(128 + number)


main.add_command(run_command)
main.add_command(up_command)
main.add_command(portal_command)
main.add_command(soak_command)
main.add_command(rehearse_command)

if __name__ == "__main__":
    main(prog_name="python -m local")
