"""Whether a drop is a copy onto itself, an empty placeholder, or must be read."""

import pytest

from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.rules.drops import (
    WAIT_SECONDS,
    EarlierDrop,
    is_a_copy,
    of_empty,
)


def copied(
    status: str, mode: Mode = Mode.APPLY, *, is_open: bool = False, written_by: str = "CopyObject"
) -> bool:
    return is_a_copy(EarlierDrop("a", is_open, status), "a", written_by=written_by, mode=mode)


def test_a_copy_of_a_drop_that_is_running_or_done_is_a_copy() -> None:
    assert copied("", is_open=True)
    assert copied("SUCCEEDED")
    assert copied("NOBODY_DELETED")
    assert copied("PREVIEWED", Mode.PREVIEW)


@pytest.mark.parametrize("status", ["REFUSED", "FAILED", "STOPPED", "INCOMPLETE", "PREVIEWED", ""])
def test_a_copy_of_a_drop_without_effect_is_read(status: str) -> None:
    assert not copied(status)


@pytest.mark.parametrize("written_by", ["PutObject", "CompleteMultipartUpload", "POST Object"])
def test_what_was_written_again_is_intended(written_by: str) -> None:
    assert not copied("SUCCEEDED", written_by=written_by)


def test_different_content_is_not_a_copy() -> None:
    earlier = EarlierDrop("a", is_open=True, status="")

    assert not is_a_copy(earlier, "b", written_by="CopyObject", mode=Mode.APPLY)


def test_an_empty_object_is_waited_for_while_it_is_new() -> None:
    assert of_empty(is_newest=True, age_seconds=1) == Wait(WAIT_SECONDS)
    assert of_empty(is_newest=True, age_seconds=WAIT_SECONDS) is None


def test_newer_content_is_left_to_its_own_run() -> None:
    assert isinstance(of_empty(is_newest=False, age_seconds=1), Nothing)
