"""Plans and batches as files: how an earlier version reads them, and we read an earlier one's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import PlannedUser
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.plan_files import (
    batch_from_json,
    batch_to_json,
    plan_from_json,
    plan_to_json,
    users_to_json,
)
from tests.builders import a_plan, a_user

users = st.lists(st.builds(a_user, st.integers(1, 10**6), st.text(max_size=5)), max_size=4)


def as_an_earlier_version_reads_it(body: bytes) -> list[PortalUser]:
    """The reader of batches from before there were actions."""

    def revived(data: dict[str, str]) -> PortalUser | dict[str, str]:
        return PortalUser(**data) if "username" in data else data

    found: list[PortalUser] = json.loads(body, object_hook=revived)
    return found


@given(users, st.sampled_from(Action))
def test_each_user_in_a_batch_carries_the_action(many: list[PortalUser], action: Action) -> None:
    assert batch_from_json(batch_to_json(many, action)) == [
        PlannedUser(user, action) for user in many
    ]


@pytest.mark.parametrize("action", Action)
def test_an_earlier_version_fails_on_a_batch_instead_of_deleting(action: Action) -> None:
    assert as_an_earlier_version_reads_it(users_to_json([a_user(118)])) == [a_user(118)]

    with pytest.raises(TypeError, match="action"):
        as_an_earlier_version_reads_it(batch_to_json([a_user(118)], action))


def test_a_batch_of_an_earlier_version_is_to_be_deleted() -> None:
    assert batch_from_json(users_to_json([a_user(118)])) == [
        PlannedUser(a_user(118), Action.DELETE)
    ]


@pytest.mark.parametrize("action", Action)
def test_a_plan_keeps_its_action(action: Action) -> None:
    plan = a_plan(action=action, grace_days=30)

    assert plan_from_json(plan_to_json(plan).decode()) == plan


def test_a_plan_of_an_earlier_version_is_to_delete() -> None:
    written = json.loads(plan_to_json(a_plan()))
    for new in ("action", "grace_days", "enabled_users"):
        del written[new]

    assert plan_from_json(json.dumps(written)).action is Action.DELETE
