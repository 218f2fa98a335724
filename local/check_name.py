"""`python -m local.check_name ENV ARGS`: refuses a stack whose name is too long.

`make deploy` calls it with the arguments for the SAM CLI, before it calls the SAM CLI.
"""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from bulk_user_deletion_cli.stack_name import refusal

_SAMCONFIG = Path(__file__).resolve().parents[1] / "samconfig.toml"


def check(argv: Sequence[str], samconfig: Path = _SAMCONFIG) -> str:
    """Return why the stack cannot be deployed, or nothing.

    With --guided the SAM CLI may ask for another name, which CloudFormation refuses if it is too
    long.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("environment")
    parser.add_argument("--stack-name")
    parser.add_argument("--config-file", type=Path, default=samconfig)
    given, _ = parser.parse_known_args(argv)
    config = tomllib.loads(given.config_file.read_text(encoding="utf-8"))
    parameters = config.get(given.environment, {}).get("deploy", {}).get("parameters", {})
    said = refusal(given.stack_name or parameters.get("stack_name", ""))
    if not said:
        return ""
    return f"{said} Shorten stack_name in {given.config_file.name}, or --stack-name."


if __name__ == "__main__":
    sys.exit(check(sys.argv[1:]) or 0)
