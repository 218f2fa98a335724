"""The two secrets: the portal's credentials, and the token issued for them."""

import json
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.errors import (
    CredentialsRefused,
    TokenQuotaExceeded,
    TokenRejected,
)
from bulk_user_deletion.meter import meter
from bulk_user_deletion.models.tokens import Credentials, Token
from bulk_user_deletion.rules.expiry import outlives_margin
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.store import CONFIG, error_code, store_errors


class TokenStore:
    """Secrets Manager, as this application uses it. Values are cached in the process."""

    def __init__(self, *, token_secret: str, credentials_secret: str) -> None:
        self._token_secret = token_secret
        self._credentials_secret = credentials_secret
        self._client = boto3.client("secretsmanager", config=CONFIG)
        self._cache: dict[str, dict[str, Any] | None] = {}

    def stored(self) -> Token | None:
        """Return the token that Secrets Manager holds now, or None if there is none."""
        return self._get_token(fresh=True)

    def usable(self, *, after: str | None, now: float, seconds_per_delete: float) -> Token:
        """Return a token to call the portal with, from the cache if that is recent enough.

        `after` is the version that RefreshToken last returned: an older one is not accepted.
        `seconds_per_delete` is how long it must stay valid, 0 if no DELETE will be sent.

        Raises:
            TokenRejected: there is none, or it is about to expire.
        """

        def lasts(token: Token) -> bool:
            return outlives_margin(
                issued_at=token.issued_at,
                expires_at=token.expires_at,
                now=now,
                seconds_per_delete=seconds_per_delete,
            )

        token = self._get_token(fresh=False)
        if token is None or (after and token.version_id != after) or not lasts(token):
            token = self._get_token(fresh=True)
        if token is None or not lasts(token):
            raise TokenRejected(token.version_id if token else None)
        return token

    def put_token(
        self, *, value: str, issued_at: float, expires_at: float, credentials: Credentials
    ) -> Token:
        """Store a new token and return it with its version.

        Raises:
            TokenQuotaExceeded: too many were stored within a day.
            StoreUnavailable: Secrets Manager does not respond.
        """
        token = Token(
            str(uuid4()), value, issued_at, expires_at, credentials.user, credentials.user_id
        )
        # The version is in the document too, so that a reader knows which one it has.
        document = {
            "version_id": token.version_id,
            "token": value,
            "issued_at": issued_at,
            "expires_at": expires_at,
            "user": token.user,
            "user_id": token.user_id,
        }
        meter.count("secrets")
        with store_errors("Storing the portal token"):
            try:
                self._client.put_secret_value(
                    SecretId=self._token_secret,
                    ClientRequestToken=token.version_id,
                    SecretString=json.dumps(document),
                )
            except ClientError as error:
                if error_code(error) != "LimitExceededException":
                    raise
                raise TokenQuotaExceeded(
                    "Secrets Manager keeps every version of the token for a day, and has no room"
                    " for another one. Resume the run tomorrow. Raise API_TOKEN_LIFE_TIME in the"
                    " portal: tokens that live longer are renewed less often."
                ) from None
        return token

    def credentials(self) -> Credentials:
        """Return the content of the credentials secret, which a person fills.

        Raises:
            CredentialsRefused: it is missing or malformed.
        """
        document = self._get(self._credentials_secret, fresh=True)
        names = ("application_id", "application_key", "user")
        wrong = [
            name
            for name in names
            if not isinstance((document or {}).get(name), str) or not (document or {})[name].strip()
        ]
        if document is None or wrong:
            missing = ", ".join(wrong)
            raise CredentialsRefused(
                f"The secret {self._credentials_secret} must be a JSON object with the strings"
                f" application_id, application_key and user; missing or malformed: {missing}."
            )
        # Optional, and written by hand: a number or a string.
        user_id = str(document.get("user_id") or "").strip()
        if user_id and not is_user_id(user_id):
            raise CredentialsRefused(
                f"In the secret {self._credentials_secret}, user_id must be the id of the user in"
                " `user`: a positive whole number, or be left out."
            )
        return Credentials(**{name: document[name].strip() for name in names}, user_id=user_id)

    def _get_token(self, *, fresh: bool) -> Token | None:
        document = self._get(self._token_secret, fresh=fresh)
        if document is None:
            return None
        try:
            return Token(
                version_id=str(document["version_id"]),
                value=str(document["token"]),
                issued_at=float(document["issued_at"]),
                expires_at=float(document["expires_at"]),
                user=str(document["user"]),
                user_id=str(document.get("user_id", "")),
            )
        except (KeyError, TypeError, ValueError):
            return None  # not written by us: treated as missing, and renewed

    def _get(self, secret: str, *, fresh: bool) -> dict[str, Any] | None:
        if fresh or secret not in self._cache:
            self._cache[secret] = self._read(secret)
        return self._cache[secret]

    def _read(self, secret: str) -> dict[str, Any] | None:
        meter.count("secrets")
        with store_errors(f"Reading {secret}"):
            try:
                text = self._client.get_secret_value(SecretId=secret).get("SecretString", "")
            except ClientError as error:
                if error_code(error) != "ResourceNotFoundException":
                    raise
                return None
        try:
            document = json.loads(text)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None
