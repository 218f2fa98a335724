"""The portal token, and the credentials that it is issued for."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Token:
    """A portal token and the version of the secret that holds it. `user` is who it acts as."""

    version_id: str
    value: str = field(repr=False)
    issued_at: float
    expires_at: float
    user: str = field(repr=False)
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the portal requires for a token: an External Application and a username.

    `user_id` is that user's id, for a portal that does not list it; empty otherwise.
    """

    application_id: str
    application_key: str = field(repr=False)
    user: str = field(repr=False)
    user_id: str = ""
