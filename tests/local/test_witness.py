"""The witness finds in a portal's log what must not happen to leavers, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest

from local.portal import Fault, Request
from local.witness import DAY, Witness

LEAVER = 118


def a_request(
    method: str,
    day: float,
    *,
    status: int = 200,
    fault: Fault | None = None,
    told: Mapping[str, Any] | None = None,
    sent: Mapping[str, Any] | None = None,
) -> Request:
    path = f"/api/user/id/{LEAVER}"
    return Request(
        at=day,
        method=method,
        path=path,
        query={},
        user_id=LEAVER,
        status=status,
        token=1,
        seconds=0.1,
        fault=fault,
        when=day * DAY,
        sent=sent,
        told=told,
    )


def a_look(day: float, enabled: str, *, username: str = "jdoe") -> Request:
    told = {"username": username, "email": "jdoe@example.com", "enabled": enabled}
    return a_request("GET", day, told=told)


def a_put(day: float, enabled: str, fault: Fault | None = None) -> Request:
    return a_request("PUT", day, sent={"enabled": enabled}, fault=fault)


def a_delete(day: float) -> Request:
    return a_request("DELETE", day)


DISABLED = (a_look(0, "Y"), a_put(0, "N"), a_look(0, "N"))
ON_TIME = (a_look(30, "N"), a_delete(30))


def a_witness(*requests: Request) -> Witness:
    witness = Witness(grace_days=30)
    witness.follow(requests)
    return witness


def found(witness: Witness) -> set[str]:
    """What the witness has found, by name."""
    return {
        name
        for name in (
            "before_due",
            "taken_back",
            "disabled_though_withdrawn",
            "enabled_not_ours",
            "put_unseen",
        )
        if getattr(witness, name)
    }


def test_a_leaver_who_is_disabled_and_deleted_when_due_is_nothing_to_find() -> None:
    assert not found(a_witness(*DISABLED, *ON_TIME))


@pytest.mark.parametrize(
    "early",
    [
        (*DISABLED, a_look(29, "N"), a_delete(29)),
        (a_look(30, "N"), a_delete(30)),
        (a_look(0, "N", username="other"), *ON_TIME),
    ],
    ids=["a day too soon", "never seen before", "somebody else was seen"],
)
def test_a_delete_before_the_grace_time_is_over_is_found(early: tuple[Request, ...]) -> None:
    assert found(a_witness(*early)) == {"before_due"}


def test_the_longer_grace_time_counts() -> None:
    longer, shorter = a_witness(*DISABLED), a_witness(*DISABLED)
    longer.changed_grace(60)
    shorter.changed_grace(1)

    for witness, day in ((longer, 59), (shorter, 1)):
        witness.follow([a_look(day, "N"), a_delete(day)])

    assert found(longer) == {"before_due"}
    assert not found(shorter)  # the log cannot say what the plan had promised


def test_a_delete_that_a_person_asked_for_directly_is_due_at_once() -> None:
    witness = Witness(grace_days=30)

    witness.follow([*DISABLED, a_delete(0)], direct=True)

    assert not found(witness)


def test_a_delete_after_a_look_that_saw_the_user_enabled_is_found() -> None:
    assert found(a_witness(*DISABLED, a_look(3, "Y"), a_look(40, "N"), a_delete(40))) == {
        "taken_back"
    }
    assert found(a_witness(*DISABLED, a_look(30, "Y"), a_delete(30))) == {"taken_back"}


def test_whoever_we_disable_again_after_that_is_due_when_the_time_is_over_again() -> None:
    again = (*DISABLED, a_look(3, "Y"), a_put(3, "N"), a_look(3, "N"))

    assert not found(a_witness(*again, a_look(33, "N"), a_delete(33)))
    assert found(a_witness(*again, *ON_TIME)) == {"before_due"}


def test_what_a_killed_function_saw_nobody_knows() -> None:
    witness = a_witness(*DISABLED)

    witness.follow([a_look(3, "Y")], heard=False)
    witness.follow(ON_TIME)

    assert not found(witness)


def test_a_delete_or_a_put_after_a_withdrawal_is_found_unless_a_person_names_the_user() -> None:
    for named in (False, True):
        witness = a_witness(*DISABLED)
        witness.withdrawn([LEAVER])
        if named:
            witness.named([LEAVER])
        witness.follow(ON_TIME)
        assert found(witness) == (set() if named else {"taken_back"})

    witness = a_witness(*DISABLED)
    witness.withdrawn([LEAVER])
    witness.follow([a_look(3, "Y"), a_put(3, "N")])
    assert found(witness) == {"disabled_though_withdrawn"}


def test_a_put_that_enables_whom_our_put_did_not_disable_is_found() -> None:
    assert not found(a_witness(*DISABLED, a_look(1, "N"), a_put(1, "Y")))
    assert found(a_witness(a_look(1, "N"), a_put(1, "Y"))) == {"enabled_not_ours"}
    refused = (a_look(0, "Y"), a_put(0, "N", Fault.BUSY_503), a_look(0, "N"))
    assert found(a_witness(*refused, a_put(1, "Y"))) == {"enabled_not_ours"}
    by_others = (*DISABLED, a_look(1, "Y"), a_look(2, "N"), a_put(2, "Y"))
    assert found(a_witness(*by_others)) == {"enabled_not_ours"}


def test_a_put_that_no_look_had_shown_to_be_needed_is_found() -> None:
    assert found(a_witness(a_put(0, "N"))) == {"put_unseen"}
    assert found(a_witness(*DISABLED, a_put(0, "N"))) == {"put_unseen"}
