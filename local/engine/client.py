"""Clients of an emulated service."""

from functools import cache, lru_cache
from threading import Lock
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

REGION = "us-east-1"

_creating = Lock()  # a session may create one client at a time


# Only the latest: tests start one engine after another.
@lru_cache(maxsize=64)
def client(endpoint: str, service: str) -> Any:
    """Return the boto3 client of the emulated service at this endpoint."""
    with _creating:
        return _session().client(  # type: ignore[call-overload]
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106
            config=Config(proxies={}),
        )


@cache
def _session() -> boto3.Session:
    """Return the one session, which reads each service's description once."""
    # No configuration file is read: AWS_PROFILE, if it is set, does not apply here.
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return boto3.Session(botocore_session=session)
