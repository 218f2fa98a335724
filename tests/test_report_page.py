"""report.html: one complete file, in its source and as a real browser shows it."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_user_deletion.models.costs import Cost, Figures
from bulk_user_deletion.models.reports import Report, ReportRow
from bulk_user_deletion.models.runs import Milestone, MilestoneKind, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion.report_page import answer_page, report_page
from bulk_user_deletion.rules.advice import for_the_sender
from bulk_user_deletion.rules.reporting import MEANINGS, count_outcomes, first_the_urgent
from bulk_user_deletion.rules.text import showable
from tests.browser import CHROMIUM, Browser
from tests.builders import a_report, a_report_row

START = datetime(2026, 11, 20, 20, tzinfo=UTC)


def at(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


KINDS = {
    Outcome.SKIPPED: ReasonKind.CHANGED_SINCE_PLAN,
    Outcome.UNRESOLVED: ReasonKind.NOT_FOUND,
}


def leavers(number: int) -> list[ReportRow]:
    """Rows of every outcome of an apply; each user takes a minute, with a pause of a minute."""
    kinds = [
        (Outcome.DELETED, "a look after the DELETE found nobody under this id"),
        (Outcome.DELETED, "a look after the DELETE found nobody under this id"),
        (Outcome.ALREADY_ABSENT, "nobody has this id"),
        (Outcome.SKIPPED, "changed_since_plan: the e-mail is another one"),
        (Outcome.UNRESOLVED, "no user has this name"),
        (Outcome.FAILED, "DELETE: HTTP 409; still there"),
        (Outcome.UNKNOWN, "DELETE: 504; still there after 9 looks in 320 s"),
        (Outcome.NOT_ATTEMPTED, "Stopped by the night shift: wrong list."),
    ]
    rows = []
    for n in range(number):
        outcome, reason = kinds[n % len(kinds)]
        sent = outcome in {Outcome.DELETED, Outcome.FAILED, Outcome.UNKNOWN}
        rows.append(
            a_report_row(
                n + 2,
                entry=f"user{n:05}",
                user_id="" if outcome is Outcome.UNRESOLVED else str(101 + n),
                username=f"user{n:05}",
                email=f"user{n:05}@example.com",
                outcome=outcome,
                reason_kind=KINDS.get(outcome, ReasonKind.NONE),
                reason=reason,
                portal_message="User owns content" if outcome is Outcome.FAILED else "",
                attempts=int(sent),
                delete_seconds=58 if sent else 0,
                answered_at=at(120 * n + 58) if sent else "",
                ended_at=at(120 * n + 60) if sent else "",
            )
        )
    return rows


def incomplete(number: int = 16) -> Report:
    rows = leavers(number)
    return a_report(
        *rows,
        status=RunStatus.INCOMPLETE,
        headline="4 of 16 entries deleted, 2 failed, 2 unknown, 2 not attempted.",
        milestones=[
            Milestone(at(0), MilestoneKind.STARTED, "hr-automation", "HR-1234"),
            Milestone(at(300), MilestoneKind.STOPPED, "the night shift", "wrong list"),
            Milestone(at(310), MilestoneKind.ENDED, status="STOPPED", counts={"deleted": 2}),
            Milestone(
                at(600), MilestoneKind.RESUMED, "the platform team", "the list is right", "again"
            ),
            Milestone(at(120 * number), MilestoneKind.ENDED, status="INCOMPLETE"),
        ],
        counts=count_outcomes(rows),
        started_at=at(0),
        ended_at=at(120 * number),
        renewals=2,
        renewed_at=[at(1), at(900)],
        refused_at=[at(500)],
        warnings=["2 entries are protected (lines 3, 7)."],
    )


def said_of(row: ReportRow) -> str:
    """The cell about a row's reason, with the portal's own words."""
    words = row.reason.replace("changed_since_plan", "changed since the plan was made")
    return words + row.portal_message


class Page(HTMLParser):
    """The page's tags, its text, and the text of each cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.cells: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self._in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.cells[-1] += data


# What it shows


def test_it_says_what_was_asked_by_whom_and_why_and_how_it_ended() -> None:
    report = incomplete()

    said = Page(report_page(report)).text

    for part in (
        "INCOMPLETE",
        report.headline,
        report.portal,
        report.stack,
        "Stop pressed by the night shift: wrong list",
        "Resumed by the platform team: the list is right (execution again)",
        report.warnings[0],
        "dataset 42",
        "hr-automation",
        "HR-1234",
        report.run_id,
        report.plan_sha256,
    ):
        assert part in said


def test_rule_3_its_counts_visibly_add_up() -> None:
    report = incomplete()
    said = " ".join(Page(report_page(report)).text.split())

    assert (
        "4 deleted + 2 already absent + 2 skipped + 2 unresolved + 2 failed + 2 unknown"
        " + 2 not attempted = 16 requested" in re.sub(r" ?([+=]) ?", r" \1 ", said)
    )


def test_rule_3_every_entry_has_one_row_with_outcome_reason_and_evidence() -> None:
    report = incomplete()
    page = Page(report_page(report))

    rows = [page.cells[n : n + 10] for n in range(0, len(page.cells), 10)]

    assert [(row[1], row[5], row[6]) for row in rows] == [
        (row.entry, row.outcome.replace("_", " "), said_of(row)) for row in report.rows
    ]


def test_each_kind_of_leftover_has_its_request() -> None:
    said = Page(report_page(incomplete())).text

    assert '{"mode": "apply", "resume": "run-1"}' in said
    assert '{"mode": "preview", "source": {"users": ["104", "112"]}}' in said
    assert "bulk-user-deletion resume run-1" in said


def test_a_refused_request_without_a_plan_is_a_page_too() -> None:
    report = a_report(
        status=RunStatus.REFUSED, headline="Refused: modus.", mode="", source="", trigger=""
    )

    said = Page(report_page(report)).text

    assert "Refused: modus." in said
    assert "Every entry" not in said


def test_whoever_failed_or_is_unknown_comes_first() -> None:
    shown = first_the_urgent(leavers(16))

    assert {row.outcome for row in shown[:4]} == {Outcome.FAILED, Outcome.UNKNOWN}
    others = [row.line for row in shown[4:]]
    assert others == sorted(others)


def test_the_portals_own_words_stand_beside_the_reason() -> None:
    row = a_report_row(outcome=Outcome.FAILED, portal_message="User owns content")

    assert "<q>User owns content</q>" in report_page(a_report(row))


@pytest.mark.parametrize("kind", [kind for kind in ReasonKind if kind])
def test_no_kind_of_reason_is_shown_as_code(kind: ReasonKind) -> None:
    for reason in (kind.value, f"{kind.value}: since line 2", f"after the DELETE: {kind.value}: x"):
        row = a_report_row(outcome=Outcome.SKIPPED, reason=reason, reason_kind=kind)

        shown = Page(report_page(a_report(row))).cells[6]

        assert "_" not in shown
        assert kind.value.split("_")[0] in shown or kind in {ReasonKind.GUARDED, ReasonKind.SELF}


def test_what_did_not_happen_is_not_counted() -> None:
    quiet = Page(report_page(a_report(a_report_row()))).text
    busy = Page(report_page(incomplete())).text

    assert "spent 58 s on 1 DELETE; 2 s passed until its outcome was known." in quiet
    assert "renewed" not in quiet
    assert "the token was renewed 2 times; 1 DELETE was temporarily refused." in busy


# The answer to a dropped file


def test_the_answer_to_a_drop_says_what_happened_and_what_to_do() -> None:
    report = replace(incomplete(), source="s3://data/inbox/leavers.csv")

    said = " ".join(Page(answer_page(report)).text.split())

    for part in (
        "4 of 16 deleted",
        report.headline,
        "2 unresolved: no user, or more than one, matches the entry",
        "The team that runs the portal decides about the users who are left open",
        "Ended INCOMPLETE",
        "s3://data/inbox/leavers.csv",
        report.run_id,
        report.portal,
    ):
        assert part in said


def test_rule_6_the_answer_to_a_drop_names_no_user() -> None:
    report = incomplete()

    page = answer_page(report)

    for row in report.rows:
        assert row.username not in page
        assert row.email not in page


@pytest.mark.parametrize(
    ("status", "counts", "said"),
    [
        (RunStatus.SUCCEEDED, {"deleted": 2}, "Nothing: no user is left open."),
        (RunStatus.PREVIEWED, {"would_delete": 2}, "Nobody was touched."),
        (RunStatus.REFUSED, {"not_attempted": 2}, "Fix the problem above, then drop the file"),
        (RunStatus.INCOMPLETE, {"deleted": 1, "failed": 1}, "decides about the users"),
        (RunStatus.SUCCEEDED, {"deleted": 1, "unresolved": 1}, "1 entry does not name exactly one"),
    ],
)
def test_the_answer_to_a_drop_says_one_thing_to_do(
    status: RunStatus, counts: dict[str, int], said: str
) -> None:
    report = a_report(status=status, counts=counts, requested=2)

    [text] = for_the_sender(report)

    assert said in text


@given(
    st.sampled_from(RunStatus),
    st.dictionaries(st.sampled_from([o.value for o in Outcome]), st.integers(1, 3)),
)
def test_every_answer_to_a_drop_says_something_to_do(
    status: RunStatus, counts: dict[str, int]
) -> None:
    report = a_report(status=status, counts=counts, requested=sum(counts.values()))

    assert for_the_sender(report)
    assert set(counts) <= set(MEANINGS)


# It needs nothing else, and can do nothing


def test_it_is_one_file_that_loads_nothing() -> None:
    page = Page(report_page(incomplete()))

    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert "src" not in attributes
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    [policy] = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


hostile = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "${1+1}",
        "${structure: '<b>'}",
        "&lt;b&gt;",
        "]]>",
        "<!-- ",
        "</td></table>",
        "\x00",
        "=HYPERLINK(1)",
    ]
)


texts = hostile | st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@settings(max_examples=60)
@given(st.lists(texts, min_size=8, max_size=8))
def test_no_value_can_become_markup(values: list[str]) -> None:
    entry, username, email, reason, warning, history, by, source = values
    row = a_report_row(
        entry=entry,
        username=username,
        email=email,
        reason=reason,
        warning=warning,
        history=history,
    )
    plain = report_page(a_report(a_report_row(warning="w", history="h")))

    page = Page(report_page(a_report(row, reason=reason, requested_by=by, source=source)))

    assert [tag for tag, _ in page.tags] == [tag for tag, _ in Page(plain).tags]
    seen = [page.cells[1], page.cells[3], page.cells[4]]
    assert seen == ["\n".join(map(showable, text.split("\n"))) for text in (entry, username, email)]


# In a real browser

needs_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium, then run this again"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def shown(browser: Browser, report: Report, folder: Path) -> Browser:
    path = folder / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    browser.problems.clear()
    browser.look()
    browser.open(path)
    return browser


SHOWN_ROWS = "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden)"


@needs_a_browser
def test_the_console_shows_no_error_in_light_dark_or_print(
    browser: Browser, tmp_path: Path
) -> None:
    shown(browser, incomplete(), tmp_path)
    background = "getComputedStyle(document.body).backgroundColor"

    light = browser.evaluate(background)
    browser.look(dark=True)
    dark = browser.evaluate(background)
    browser.look(dark=True, printed=True)
    printed = browser.evaluate(background)

    assert light != dark
    assert printed == "rgb(255, 255, 255)"
    assert browser.problems == []


@needs_a_browser
def test_the_policy_forbids_every_other_script(browser: Browser, tmp_path: Path) -> None:
    shown(browser, incomplete(), tmp_path)

    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'document.title = \"owned\"'}))"
    )

    assert browser.evaluate("document.title") == "INCOMPLETE: 4 of 16 deleted"


@needs_a_browser
def test_entries_are_searched_and_sorted(browser: Browser, tmp_path: Path) -> None:
    shown(browser, incomplete(), tmp_path)

    browser.evaluate(
        "search = document.getElementById('search'); search.value = '409 OWNS';"
        " search.dispatchEvent(new Event('input'))"
    )
    found = browser.evaluate("document.getElementById('found').textContent")
    rows = browser.evaluate(f"{SHOWN_ROWS}.map(row => row.cells[5].textContent)")
    assert (found, rows) == ("2 of 16 entries", ["failed", "failed"])

    browser.evaluate("search.value = ''; search.dispatchEvent(new Event('input'))")
    by_id = "document.querySelectorAll('th button')[2].click()"
    ids = f"{SHOWN_ROWS}.map(row => row.cells[2].textContent).filter(Boolean).map(Number)"
    browser.evaluate(by_id)
    up = browser.evaluate(ids)
    browser.evaluate(by_id)
    down = browser.evaluate(ids)
    assert up == sorted(up)
    assert down == up[::-1]
    assert browser.problems == []


@needs_a_browser
def test_a_count_shows_only_its_entries(browser: Browser, tmp_path: Path) -> None:
    shown(browser, incomplete(), tmp_path)
    press = "document.querySelector('button.count[data-outcome=failed]').click()"
    outcomes = f"{SHOWN_ROWS}.map(row => row.cells[5].textContent)"
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map(b => b.textContent)"

    browser.evaluate(press)
    only, number = browser.evaluate(outcomes), browser.evaluate(pressed)
    browser.evaluate(press)
    again = browser.evaluate(outcomes)
    browser.evaluate(press)
    browser.evaluate("document.getElementById('all').click()")

    assert (only, number) == (["failed", "failed"], ["2 failed"])
    assert len(again) == len(browser.evaluate(outcomes)) == 16
    assert browser.evaluate(pressed) == []
    assert browser.problems == []


@needs_a_browser
def test_on_a_phone_each_entry_is_a_card_with_its_outcome_first(
    browser: Browser, tmp_path: Path
) -> None:
    shown(browser, incomplete(), tmp_path).look(width=390)
    scroll = "document.querySelector('.scroll')"
    tops = (
        "[...document.querySelector('tbody tr').cells].filter(cell => cell.offsetHeight)"
        ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
        ".map(cell => cell.cellIndex)"
    )

    assert browser.evaluate(f"{scroll}.scrollWidth == {scroll}.clientWidth")
    assert browser.evaluate(tops) == [5, 0, 1, 2, 3, 4, 6, 7, 8, 9]


@needs_a_browser
@pytest.mark.parametrize("width", [390, 1200])
def test_a_moment_stays_in_one_line_and_a_long_id_in_its_column(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    row = a_report_row(user_id="12345678901234567890", entry="x" * 60)
    shown(browser, a_report(row, requested=1), tmp_path).look(width=width)
    cells = "[...document.querySelectorAll('tbody td')]"

    lines = "(() => { const r = document.createRange(); r.selectNodeContents(c); return"
    assert browser.evaluate(f"(c => {lines} r.getClientRects().length }})())({cells}.at(-1))") == 1
    assert browser.evaluate(f"{cells}.every(cell => cell.scrollWidth <= cell.clientWidth)")


@needs_a_browser
def test_no_heading_is_the_last_line_of_a_printed_page(browser: Browser, tmp_path: Path) -> None:
    shown(browser, incomplete(), tmp_path).look(printed=True)

    breaks = "[...document.querySelectorAll('h2')].map(h => getComputedStyle(h).breakAfter)"
    assert set(browser.evaluate(breaks)) == {"avoid"}


@needs_a_browser
def test_without_scripts_everything_is_there_but_the_search(
    browser: Browser, tmp_path: Path
) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        shown(browser, incomplete(), tmp_path)

        assert browser.evaluate(f"{SHOWN_ROWS}.length") == 16
        search = "getComputedStyle(document.querySelector('.search')).display"
        assert browser.evaluate(search) == "none"
        assert browser.evaluate("document.querySelector('th button')") is None
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@needs_a_browser
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_as_wide_as_a_phone_or_a_screen(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    shown(browser, incomplete(), tmp_path).look(width=width)

    assert browser.evaluate("document.documentElement.scrollWidth") == width


@needs_a_browser
def test_10000_entries_can_be_opened_searched_and_sorted(browser: Browser, tmp_path: Path) -> None:
    started = time.monotonic()
    shown(browser, incomplete(10_000), tmp_path)

    browser.evaluate(
        "search = document.getElementById('search'); search.value = 'user00999';"
        " search.dispatchEvent(new Event('input'))"
    )
    found = browser.evaluate(f"{SHOWN_ROWS}.map(row => row.cells[1].textContent)")
    browser.evaluate("search.value = ''; search.dispatchEvent(new Event('input'))")
    browser.evaluate("document.querySelectorAll('th button')[5].click()")
    browser.evaluate("document.querySelector('table').offsetHeight")

    assert found == ["user00999"]
    assert browser.evaluate(f"{SHOWN_ROWS}.length") == 10_000
    # Usable: opened, searched, cleared, sorted and laid out. About 4 s.
    assert time.monotonic() - started < 30
    assert browser.problems == []


def test_the_page_says_what_the_run_took_and_which_of_it_was_measured() -> None:
    page = report_page(
        a_report(cost=Cost(Figures(transitions=1_234), Figures(transitions=8), 0.0241))
    )

    assert "This run cost about 0.0241 USD" in page
    assert "its plan estimated 0.0100 USD." in page
    assert "1,234 measured, 8 modelled" in page
    assert "<dt>Token renewals</dt><dd>none</dd>" in page
