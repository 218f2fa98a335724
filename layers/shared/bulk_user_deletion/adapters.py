"""Clients for everything outside, built from the stack's settings on first use."""

import time
from functools import cache, cached_property
from typing import TYPE_CHECKING

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.tokens import Token
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.tokens import TokenStore

if TYPE_CHECKING:
    from bulk_user_deletion.executions import Executions
    from bulk_user_deletion.guard_dataset import GuardDataset
    from bulk_user_deletion.topic import Topic


class Adapters:
    """One client of each kind, kept for the lifetime of the process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger_table, kept_days=self.settings.retention_days)

    @cached_property
    def bucket(self) -> Bucket:
        return Bucket(self.settings.data_bucket, lock_days=self.settings.object_lock_days)

    @cached_property
    def tokens(self) -> TokenStore:
        return TokenStore(
            token_secret=self.settings.token_secret,
            credentials_secret=self.settings.credentials_secret,
        )

    @cached_property
    def guard(self) -> "GuardDataset":
        from bulk_user_deletion.guard_dataset import GuardDataset

        return GuardDataset(self.settings, self.ledger)

    @cached_property
    def topic(self) -> "Topic":
        from bulk_user_deletion.topic import Topic

        return Topic(self.settings.topic_arn)

    @cached_property
    def executions(self) -> "Executions":
        from bulk_user_deletion.executions import Executions

        return Executions()

    def connect(self, newest_token: str | None, *, seconds_per_delete: float = 0) -> Portal:
        """Return a client with a usable token, of the version that RefreshToken returned, if any.

        `seconds_per_delete` is how long the token must last if a DELETE is to be sent with it.

        Raises:
            TokenRejected: no token is usable.
        """
        token = self.tokens.usable(
            after=newest_token, now=time.time(), seconds_per_delete=seconds_per_delete
        )
        return self.portal(token)

    def portal(self, token: Token | None = None) -> Portal:
        """Return a client that sends `token`. Its connections do not outlive the invocation."""
        return Portal(
            self.settings.portal_url,
            token=token,
            read_timeout_seconds=self.settings.read_timeout_seconds,
            ca_bundle=self.settings.ca_bundle,
        )


@cache
def adapters() -> Adapters:
    """Return this process's adapters."""
    return Adapters(Settings.from_environment())
