"""Runs the SAM translator on a template, with .venv-ministack's Python, which has it installed.

Reads a template as JSON from its standard input and prints what CloudFormation would deploy.
"""

import json
import sys
from typing import Any

# The translator is only in .venv-ministack, where no type checker looks.
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        """Name no managed policy: the template names none either."""
        return {}


template: dict[str, Any] = json.load(sys.stdin)
json.dump(transform(template, {}, _NoManagedPolicies()), sys.stdout)
