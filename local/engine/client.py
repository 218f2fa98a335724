"""Clients of an emulated service."""

from typing import Any

import boto3
import botocore.session
from botocore.config import Config

REGION = "us-east-1"


def client(endpoint: str, service: str) -> Any:
    """Return a boto3 client of the emulated service at this endpoint."""
    # No configuration file is read: AWS_PROFILE, if it is set, does not apply here.
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return boto3.Session(botocore_session=session).client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
        config=Config(proxies={}),
    )
