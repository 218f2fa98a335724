"""`python -m local run`, `python -m local up` and `python -m local portal`."""

import click

from local.portal.cli import portal_command
from local.rehearse import rehearse_command
from local.run import run_command
from local.soak import soak_command
from local.up import up_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Everything on one machine: emulated AWS with the real template, and a simulated portal."""


main.add_command(run_command)
main.add_command(up_command)
main.add_command(portal_command)
main.add_command(soak_command)
main.add_command(rehearse_command)

if __name__ == "__main__":
    main(prog_name="python -m local")
