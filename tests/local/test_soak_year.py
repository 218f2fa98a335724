"""The year knows what must become of everybody, and a small one finds nothing."""

from collections import Counter

import pytest
from rich.console import Console

from local.soak.company import Company, Fate
from local.soak.year import Rhythm, soak_year
from local.soak.year_findings import Bound, Month, YearFindings


@pytest.fixture
def company() -> Company:
    company = Company(grace_days=30)
    company.join([1, 2, 3])
    return company


def test_whoever_is_disabled_at_noon_is_deleted_in_the_first_night_after_the_grace_time(
    company: Company,
) -> None:
    company.disable([1], day=7)

    assert company.night(37) == set()
    assert company.fates == {1: Fate.DISABLED, 2: Fate.THERE, 3: Fate.THERE}
    assert company.night(38) == {1}
    assert company.fates == {1: Fate.GONE, 2: Fate.THERE, 3: Fate.THERE}


def test_a_night_in_which_no_daily_run_starts_is_made_up_for_by_the_next_one(
    company: Company,
) -> None:
    company.disable([1], day=0)
    company.disable([2], day=7)

    assert company.night(45) == {1, 2}


@pytest.mark.parametrize("fate", Fate)
def test_whoever_is_taken_back_is_not_deleted(company: Company, fate: Fate) -> None:
    company.disable([1], day=0)
    company.keep(1, fate)

    assert company.night(365) == set()
    assert company.fates[1] is fate


def test_whoever_is_named_again_has_the_whole_grace_time_again(company: Company) -> None:
    company.disable([1], day=0)
    company.keep(1, Fate.THERE)
    company.disable([1], day=10)

    assert company.night(40) == set()
    assert company.night(41) == {1}


def test_nobody_who_is_gone_waits(company: Company) -> None:
    company.delete([1])
    company.disable([1], day=0)

    assert company.due == {}
    assert company.fates[1] is Fate.GONE


@pytest.mark.parametrize(
    ("access", "differing"),
    [
        ({1: "N", 3: "Y"}, set()),
        ({1: "Y", 3: "Y"}, {1}),
        ({3: "Y"}, {1}),
        ({1: "N", 2: "Y", 3: "Y"}, {2}),
        ({1: "N"}, {3}),
        ({1: "N", 3: "Y", 4: "Y"}, {4}),
    ],
    ids=["as expected", "enabled", "gone", "still there", "a colleague gone", "unknown"],
)
def test_everybody_who_stands_otherwise_in_the_portal_is_found(
    company: Company, access: dict[int, str], differing: set[int]
) -> None:
    company.disable([1], day=0)
    company.delete([2])

    assert company.differing(access) == differing


def test_what_was_ever_beyond_its_bound_is_counted_at_the_end() -> None:
    fine, over = Bound("rows intent", 3, 3, ""), Bound("rows intent", 4, 3, "")
    months = [
        Month("2027-01", Counter(), [fine]),
        Month("2027-02", Counter(), [over, Bound("rows lock", 2, 2, "")]),
        Month("2027-03", Counter(), [fine]),
    ]

    zeros = YearFindings(months, {"deleted before due": 0}, {}).zeros()

    assert zeros == {"deleted before due": 0, "kept beyond its bound": 1}


@pytest.mark.thorough
def test_the_first_months_of_a_small_company_end_with_zeros() -> None:
    found = soak_year(
        users=600,
        seed=1,
        minutes=15,
        console=Console(quiet=True),
        rhythm=Rhythm(days=120, drops=56, rosters=60, samples=60),
    )

    beyond = [bound for month in found.months for bound in month.kept if bound.found > bound.most]
    assert beyond == []
    assert set(found.zeros().values()) == {0}
    happened = sum((month.happened for month in found.months), Counter[str]())
    assert happened["updates"] == 2
    assert happened["keys changed"] == 1
    assert happened["deleted"] > 10
    assert happened["taken back"] > 0
