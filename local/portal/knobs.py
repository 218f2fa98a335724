"""Everything about the portal that its documents leave open, or that an installation may change."""

from dataclasses import dataclass
from typing import Literal

DeleteMode = Literal["synchronous", "background", "ignored"]
ExpiresFormat = Literal["iso", "iso_naive", "datetime", "epoch", "garbage", "missing"]


@dataclass(frozen=True)
class Knobs:
    """How the portal behaves; the defaults are what the vendor's documents say or make likely.

    `delete_mode`: the answer comes when the user is gone (`synchronous`), the answer comes at once
    and the user goes `seconds_per_delete` later (`background`), or nothing is done (`ignored`).
    """

    # Tokens
    token_life_seconds: float = 900
    seconds_per_token: float = 0
    expires_format: ExpiresFormat = "iso"
    token: str | None = None  # as it is, in place of a random one
    new_token_invalidates_old: bool = False
    expired_status: Literal[412, 401] = 412
    never_issued_status: int = 401
    wrong_credentials_status: int = 401
    user_management: bool = True
    not_administrator_status: int = 403

    # Deletes
    seconds_per_delete: float = 0
    delete_mode: DeleteMode = "synchronous"
    delete_status: Literal[200, 202, 204] = 200

    # Datasets
    page_limit: int | None = None
    dataset_ids_as: Literal["number", "string", "mixed"] = "number"
    null_rows: int = 0
    shuffled_rows: bool = False  # every page from another order: none is promised
    dataset_access: bool = True
    unknown_dataset_status: int = 404

    # Users
    user_id_key: Literal["id", "user_id"] = "id"
    user_ids_as: Literal["string", "number"] = "string"
    wrapped_user: bool = True
    omit_user_fields: tuple[str, ...] = ()
    unknown_user_status: int = 404

    # Headers
    retry_after_seconds: int = 7  # in a 429
    retry_after: str | None = None  # as it is, in whatever is no 2xx
    date: str | None = None  # as it is, in every answer
    location: str | None = None  # as it is, in a redirect
    portal_is_down: bool = False  # a front proxy answers 502 with a page of its own
