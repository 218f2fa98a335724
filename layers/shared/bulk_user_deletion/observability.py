"""Structured logs, with the run's id on every line. Events are never logged: they hold names."""

from aws_lambda_powertools import Logger

logger = Logger(service="bulk-user-deletion")
