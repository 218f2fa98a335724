"""Renews the portal token: one caller at a time requests it, the others find it stored."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bulk_user_deletion.errors import CredentialsRefused, PermanentError, TokenBeingRenewed
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.runs import Stopper
from bulk_user_deletion.models.tokens import Token
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.expiry import outlives_margin, parse_expires
from bulk_user_deletion.tokens import TokenStore

MAX_RENEWALS = 5


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One invocation, for a caller whose token version `rejected` can no longer be used.

    `renewals` counts the same caller's earlier requests; `lease_until` is when this invocation can
    no longer be running.
    """

    run_id: str
    rejected: str | None
    renewals: int
    owner: str
    lease_until: int
    token_life_seconds: int
    ledger: Ledger
    tokens: TokenStore
    portal: Portal
    clock: Callable[[], float] = time.time

    def perform(self) -> str:
        """Return the version id of a token that was not rejected.

        Raises:
            TokenBeingRenewed: another caller is renewing it; call again in a moment.
            PermanentError: no token can be had; the run's stop flag is set.
            PortalUnavailable, StoreUnavailable: call again.
        """
        try:
            return self._renew()
        except PermanentError as error:
            count(Metric.RENEWALS_REFUSED)
            self.ledger.runs.press_stop(
                self.run_id,
                reason=str(error),
                by="RefreshToken",
                now=int(self.clock()),
                stopper=Stopper.RUN,
            )
            raise

    def _renew(self) -> str:
        if self.renewals >= MAX_RENEWALS:
            raise CredentialsRefused(
                f"{MAX_RENEWALS} new tokens in a row were rejected or had expired before they"
                " were used. Check that API_TOKEN_LIFE_TIME in the portal is 15 minutes or more,"
                " and its clock."
            )
        if stored := self._good_enough():
            return stored.version_id
        now = int(self.clock())
        if not self.ledger.portal.take_token_lease(self.owner, until=self.lease_until, now=now):
            raise TokenBeingRenewed("Another caller is renewing the portal token.")
        try:
            # Another caller may have finished renewing it between the read and the lease.
            if stored := self._good_enough():
                return stored.version_id
            return self._ask().version_id
        finally:
            self.ledger.portal.release_token_lease(self.owner)

    def _good_enough(self) -> Token | None:
        stored = self.tokens.stored()
        if stored is None or stored.version_id == self.rejected:
            return None
        lives = outlives_margin(
            issued_at=stored.issued_at, expires_at=stored.expires_at, now=self.clock()
        )
        return stored if lives else None

    def _ask(self) -> Token:
        credentials = self.tokens.credentials()
        issued_at = self.clock()
        value, expires = self.portal.get_token(credentials)
        token = self.tokens.put_token(
            value=value,
            issued_at=issued_at,
            expires_at=parse_expires(
                expires, now=issued_at, fallback_seconds=self.token_life_seconds
            ),
            credentials=credentials,
        )
        count(Metric.TOKEN_RENEWALS)
        self.ledger.runs.count_renewal(self.run_id, now=int(issued_at))
        return token
