"""`python -m local run`, `up`, `jump`, `portal`, `soak` and `rehearse`."""

import signal
import sys
from types import FrameType

import click

from local.jump import jump_command
from local.portal.cli import portal_command
from local.rehearse import rehearse_command
from local.run import run_command
from local.soak.cli import soak_command
from local.up import up_command

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Everything on one machine: emulated AWS with the real template, and a simulated portal."""
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # for example under nohup
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    """Exit through all context managers, so that no emulator or portal is left running."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)  # do not interrupt the clean-up
    sys.exit(128 + number)


main.add_command(run_command)
main.add_command(up_command)
main.add_command(jump_command)
main.add_command(portal_command)
main.add_command(soak_command)
main.add_command(rehearse_command)

if __name__ == "__main__":
    main(prog_name="python -m local")
