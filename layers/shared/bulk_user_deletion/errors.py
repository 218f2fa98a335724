"""Every error that a function can raise.

The class names are an interface: the state machine's Retry and Catch match them. Messages are
sentences for the operator. They name fields, lines, ids and what to do, never a token, a key, a
username or an e-mail, because they end up in execution histories and logs.
"""

import json
import re
from collections.abc import Mapping


class BulkUserDeletionError(Exception):
    """Base class of the two families below."""


class RetryableError(BulkUserDeletionError):
    """The same step may succeed when it is retried."""


class PermanentError(BulkUserDeletionError):
    """Retrying does not help: someone must change something first."""


class TokenRejected(RetryableError):
    """The portal rejected a token, there is none yet, or it is about to expire.

    `version_id` names the version in Secrets Manager, so that RefreshToken can see whether a newer
    one has been stored since. It is None if no token was stored.
    """

    _VERSION_ID = re.compile(r"token version ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

    def __init__(self, version_id: str | None) -> None:
        super().__init__(
            f"The portal no longer accepts token version {version_id}."
            if version_id
            else "No portal token is stored yet."
        )
        self.version_id = version_id

    @classmethod
    def version_in(cls, cause: str) -> str | None:
        """Return the version named in a Cause that Step Functions recorded for this error."""
        match = cls._VERSION_ID.search(cause)
        return match[1] if match else None


class TokenBeingRenewed(RetryableError):
    """Another caller holds the lease for renewing the token."""


class PortalUnavailable(RetryableError):
    """The portal, or something between it and us, does not respond properly.

    `answer` is the answer that this was decided by, if it was one.
    """

    def __init__(self, message: str, answer: object = None) -> None:
        super().__init__(message)
        self.answer = answer


class StoreUnavailable(RetryableError):
    """DynamoDB, S3, Secrets Manager or SNS refused a request or did not respond."""


class RequestRefused(PermanentError):
    """The request, its source or its size is not acceptable. No user was deleted."""


class OrderRefused(RequestRefused):
    """There is nothing for an order to do, such as to stop a run that has ended."""


class PortalBusy(PermanentError):
    """Other runs were still deleting users from this portal when this run's waiting time ended."""


class CredentialsRefused(PermanentError):
    """The portal refuses our credentials, or every token it issues for them."""


class TokenQuotaExceeded(PermanentError):
    """Secrets Manager stores no further version of the token until older ones are a day old."""


class UserManagementDenied(PermanentError):
    """Our credentials are valid but are not allowed to manage users."""


class PortalAnswerUnusable(PermanentError):
    """The portal sent an answer that no decision can be based on."""


class PlanEdited(PermanentError):
    """The stored plan is not the one that was sealed."""


class RunClosed(PermanentError):
    """The run is not open for this execution: it has ended, or belongs to another execution."""


def sentence_of(failure: Mapping[str, str]) -> str:
    """Return the sentence for the operator in a `{"Error", "Cause"}` that Step Functions caught.

    Only the messages of this module's errors are used: any other message may contain anything.
    """
    name, cause = failure.get("Error", ""), failure.get("Cause", "")
    if name in {error.__name__ for error in _all_errors(BulkUserDeletionError)}:
        try:
            return str(json.loads(cause)["errorMessage"])
        except (ValueError, KeyError, TypeError):
            pass
    return f"A step ended with {name or 'an error'}: see the logs of this run's functions."


def _all_errors(family: type[BulkUserDeletionError]) -> list[type[BulkUserDeletionError]]:
    return [family, *(error for child in family.__subclasses__() for error in _all_errors(child))]
