"""What commands share: a number is confirmed for what a plan does, and for nothing else."""

import io

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.users import Outcome
from bulk_user_deletion_cli.exits import Refusal
from bulk_user_deletion_cli.parts import confirm, print_next_steps
from bulk_user_deletion_cli.runs import Ended, show_plan
from bulk_user_deletion_cli.wording import REQUESTED, to_do, yes_option
from tests.builders import a_plan, a_user, planned

actions = st.sampled_from(Action)
numbers = st.integers(1, 50)


def parameter(action: Action) -> str:
    return yes_option(action).removeprefix("--").replace("-", "_")


NAMES = {parameter(action) for action in REQUESTED}


@given(actions, numbers, st.dictionaries(st.sampled_from(sorted(NAMES)), numbers, min_size=1))
def test_only_the_actions_own_option_with_the_right_number_confirms(
    action: Action, users: int, given_numbers: dict[str, int]
) -> None:
    given_options: dict[str, int | None] = {**dict.fromkeys(NAMES), **given_numbers}

    if given_numbers == {parameter(action): users}:
        confirm(users, action, 30, given_options)
        return
    with pytest.raises(Refusal):
        confirm(users, action, 30, given_options)


@given(actions)
def test_nobody_is_left_is_no_number_to_confirm(action: Action) -> None:
    with pytest.raises(Refusal):
        confirm(0, action, 30, {})


def test_each_action_has_an_option_of_its_own_and_deletions_share_one() -> None:
    options = {action: yes_option(action) for action in Action}

    assert len(set(options.values())) == len(Action) - 1
    assert options[Action.DELETE] == options[Action.DELETE_DUE] == "--yes-delete"


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("days", [1, 30])
def test_a_plan_is_shown_in_the_words_of_its_action(action: Action, days: int) -> None:
    entry = planned(1, a_user(118, enabled="Y"), outcome=action.would)
    plan = a_plan(
        entry,
        action=action,
        enabled_users=50,
        grace_days=days if action is Action.DISABLE_THEN_DELETE else 0,
    )
    text = io.StringIO()

    show_plan(plan, console=Console(file=text, width=200))

    said = text.getvalue()
    assert f"To be {action.done}" in said
    assert ("% of the portal's 50 enabled users" in said) is not action.deletes
    later = f"deleted {'1 day' if days == 1 else '30 days'} after"
    assert (later in said) is (action is Action.DISABLE_THEN_DELETE)
    assert ("approves both" in said) is (action is Action.DISABLE_THEN_DELETE)
    if action in {Action.DISABLE, Action.ENABLE}:
        assert "delete" not in said


@pytest.mark.parametrize("action", REQUESTED)
def test_a_preview_says_what_applying_it_does(action: Action) -> None:
    text = io.StringIO()
    report = {"action": action, "grace_days": 30, "counts": {action.would: 2}}

    print_next_steps(Ended("run-1", "PREVIEWED", "", report), Console(file=text, width=200))

    assert f"To {to_do(action, 30)}, apply it: bulk-user-deletion apply run-1" in text.getvalue()
    assert ("delete 30 days later" in text.getvalue()) is (action is Action.DISABLE_THEN_DELETE)


def test_a_preview_of_an_earlier_version_is_one_to_delete() -> None:
    text = io.StringIO()
    report = {"counts": {Outcome.WOULD_DELETE: 2}}

    print_next_steps(Ended("run-1", "PREVIEWED", "", report), Console(file=text, width=200))

    assert "To delete, apply it" in text.getvalue()


def test_there_is_nothing_to_apply_where_nobody_would_be_touched() -> None:
    text = io.StringIO()
    report = {"action": Action.ENABLE, "counts": {Outcome.SKIPPED: 2}}

    print_next_steps(Ended("run-1", "PREVIEWED", "", report), Console(file=text, width=200))

    assert "apply" not in text.getvalue()


@pytest.mark.parametrize("action", Action)
def test_the_last_words_before_a_person_types_say_whether_it_can_be_undone(
    action: Action, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click.prompt", lambda *_, **__: 2)

    confirm(2, action, 30, {})

    last = capsys.readouterr().err.strip()
    assert ("cannot be undone" in last) is (
        action in {Action.DELETE, Action.DELETE_DUE, Action.DISABLE_THEN_DELETE}
    )
    assert ("enable --run RUN-ID" in last) is (
        action in {Action.DISABLE, Action.DISABLE_THEN_DELETE}
    )


def test_a_script_that_gives_the_number_is_asked_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    confirm(2, Action.DELETE, 0, {"yes_delete": 2})

    assert capsys.readouterr().err == ""


def test_a_prompt_that_nobody_answers_says_how_a_script_answers_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*_: object, **__: object) -> int:
        raise click.Abort

    monkeypatch.setattr("click.prompt", nobody)

    with pytest.raises(Refusal) as refused:
        confirm(2, Action.DISABLE, 0, {}, last_words="User 118 will be enabled again.")

    assert refused.value.message.endswith("nothing was started. In scripts: --yes-disable 2")
    assert capsys.readouterr().err == "\nUser 118 will be enabled again.\n\n"
