"""Whether a drop is a copy onto itself, an empty placeholder, or to be read."""

import pytest

from bulk_user_deletion.rules.drops import (
    WAIT_SECONDS,
    Nothing,
    Version,
    Wait,
    may_be_a_copy,
    of_empty,
)

OURS = Version("3", 10, 0)
BEFORE = Version("2", 10, 60)


def test_a_copy_may_be_one_of_the_version_before_it_alone() -> None:
    older = Version("1", 10, 90)

    assert may_be_a_copy([OURS, BEFORE, older], "3", written_by="CopyObject") == "2"
    assert may_be_a_copy([OURS, BEFORE, older], "2", written_by="CopyObject") == "1"
    assert may_be_a_copy([OURS, BEFORE, older], "1", written_by="CopyObject") == ""
    assert may_be_a_copy([OURS, BEFORE], "9", written_by="CopyObject") == ""


@pytest.mark.parametrize("written_by", ["PutObject", "CompleteMultipartUpload", "POST Object"])
def test_what_somebody_wrote_anew_is_meant(written_by: str) -> None:
    assert may_be_a_copy([OURS, BEFORE], "3", written_by=written_by) == ""


@pytest.mark.parametrize(
    "before",
    [
        [Version("2", 11, 60)],
        [Version("d", 0, 30, is_deletion=True), BEFORE],
        [BEFORE, Version("d", 0, 0, is_deletion=True)],  # in the same second as ours
        [],
    ],
)
def test_another_size_a_deletion_between_or_no_version_before_make_it_none(
    before: list[Version],
) -> None:
    assert may_be_a_copy([OURS, *before], "3", written_by="CopyObject") == ""


def test_an_empty_object_is_waited_for_while_it_is_new() -> None:
    assert of_empty([Version("1", 0, 1)], "1") == Wait(WAIT_SECONDS)
    assert of_empty([Version("1", 0, WAIT_SECONDS)], "1") is None
    assert of_empty([Version("1", 5, 1)], "1") is None


def test_newer_content_is_for_its_own_run() -> None:
    empty = Version("1", 0, 70)

    assert isinstance(of_empty([Version("2", 10, 5), empty], "1"), Nothing)
    assert of_empty([Version("d", 0, 5, is_deletion=True), empty], "1") is None
