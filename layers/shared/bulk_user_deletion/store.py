"""Helpers shared by the modules that use boto3."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bulk_user_deletion.errors import StoreUnavailable

CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 5},
)


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn boto3's errors into `StoreUnavailable`; callers catch failed conditions inside.

    Parameter values stay out of the message: they may contain personal data.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise StoreUnavailable(f"{what}: {code} on {error.operation_name}.") from None
    except BotoCoreError as error:
        raise StoreUnavailable(f"{what}: {type(error).__name__}.") from None


def error_code(error: ClientError) -> str:
    """Return the service's error code."""
    return str(error.response["Error"]["Code"])
