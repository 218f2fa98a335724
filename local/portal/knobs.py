"""Everything about the portal that its documents leave open or that an installation may change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

DeleteMode = Literal["synchronous", "background", "ignored", "error"]
PutMode = Literal["synchronous", "background", "ignored", "replaces", "error"]
PutAnswer = Literal["user", "bare", "no_content"]
GoneAs = Literal["error", "null_user", "empty_list", "error_200"]
LookMode = Literal["honest", "gone", "there"]
ExpiresFormat = Literal["iso", "iso_naive", "datetime", "epoch", "garbage", "missing"]


@dataclass(frozen=True)
class Knobs:
    """How the portal behaves; the defaults are what the vendor's documents say or make likely.

    `delete_mode`: a DELETE is answered when the user is gone (`synchronous`), or at once, and the
    user is gone `seconds_per_delete` later (`background`); or nothing is done and the answer is a
    success (`ignored`) or a success with an error in it (`error`).

    `put_mode`: a PUT is answered when the fields that it names are changed (`synchronous`), or at
    once, and they are changed `seconds_per_put` later (`background`); or nothing is done and the
    answer is a success (`ignored`) or a success with an error in it (`error`); or the record is
    replaced (`replaces`): what was not sent is empty or has its default, except the username.
    `put_answer`: `{"user": {...}}`, the user alone (`bare`), or a 204 (`no_content`).

    `gone_as`: with `unknown_user_status` and the portal's own error (`error`), or with 200 and
    `{"user": null}`, `[]` or an error. `every_look` answers as for nobody (`gone`), or with the
    portal's first user (`there`). `odd_records` replace fields of a record; a field whose value is
    `...` is left out. `extra_fields` come with each look at any user, beyond the known ones; with
    `touches_records` a record says when it was last changed, in `last_modified`.

    `clock_ahead_seconds`: the times that the portal sends (Date, Retry-After, when a token
    expires, `last_modified`) are this far ahead of ours. Tokens last as long as before.
    """

    # Tokens
    token_life_seconds: float = 900
    seconds_per_token: float = 0
    expires_format: ExpiresFormat = "iso"
    token: Any = None  # sent as is, instead of a random one; `...` is none at all
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

    # Changes
    seconds_per_put: float = 0
    put_mode: PutMode = "synchronous"
    put_answer: PutAnswer = "user"
    put_refused_for_ldap: bool = False  # with a 403: the directory manages its users
    touches_records: bool = False

    # Datasets
    page_limit: int | None = None
    dataset_ids_as: Literal["number", "string", "mixed"] = "number"
    null_rows: int = 0
    shuffled_rows: bool = False  # every page in a different order: no order is guaranteed
    dataset_access: bool = True
    unknown_dataset_status: int = 404
    dataset_busy: Literal[429, 500, 503] | None = None  # the portal's own answer instead of rows

    # Users
    user_id_key: Literal["id", "user_id"] = "id"
    user_ids_as: Literal["string", "number"] = "string"
    wrapped_user: bool = True
    omit_user_fields: tuple[str, ...] = ()
    unknown_user_status: int = 404
    gone_as: GoneAs = "error"  # how a look says that nobody has an id
    odd_records: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    hidden_users: tuple[int, ...] = ()  # by id: no list shows them, but a look does
    list_limit: int | None = None  # the list ends after this many users
    list_limit_after: int = 0  # but only after this many DELETEs were sent
    stale_list: tuple[int, ...] = ()  # by id: the list still shows them when they are gone
    every_look: LookMode = "honest"
    takes_along: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # by a DELETE
    refusal: str = "User owns content"  # the message of a CONFLICT

    # Headers and time
    clock_ahead_seconds: float = 0
    retry_after_seconds: int = 7  # in a 429
    retry_after: str | None = None  # as is, in every answer that is not a 2xx
    date: str | None = None  # as is, in every answer
    location: str | None = None  # as is, in a redirect
    portal_is_down: bool = False  # a front proxy answers 502 with its own page
