"""Pages for people who read how a run ended: each is one self-contained file.

report.html has everything; the answer to a dropped file names nobody.
"""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from chameleon import PageTemplate

from bulk_user_deletion.mails import cost_sentence
from bulk_user_deletion.models.reports import Report
from bulk_user_deletion.rules.advice import advice, for_the_sender
from bulk_user_deletion.rules.links import execution_link
from bulk_user_deletion.rules.milestones import milestone_text
from bulk_user_deletion.rules.reporting import MEANINGS, clock, in_words, result
from bulk_user_deletion.rules.text import counted, showable
from bulk_user_deletion.rules.timeline import WIDTH, Timeline, timeline

_FOLDER = Path(__file__).parent
_STYLE = (_FOLDER / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_FOLDER / "page.js").read_text(encoding="utf-8")
_TEMPLATE = PageTemplate((_FOLDER / "page.pt").read_text(encoding="utf-8"))
_ANSWER = PageTemplate((_FOLDER / "answer.pt").read_text(encoding="utf-8"))


def report_page(report: Report) -> str:
    """Return the report as an HTML document; the template engine escapes every value.

    It contains no terminal control characters.
    """
    drawn = timeline(report)
    document: str = _TEMPLATE(
        report=report,
        title=result(report),
        entries=counted(report.requested, "entry", "entries"),
        happened=_happened(report),
        policy=_policy(),
        style=_STYLE,
        script=_SCRIPT,
        parts=_parts(report),
        advice=[
            (piece, json.dumps(piece.request) if piece.request else "") for piece in advice(report)
        ],
        guarded=_guarded(report),
        cost=_cost(report),
        cost_sentence=cost_sentence(report),
        timeline=drawn,
        gone=_area(drawn) if drawn else "",
        execution_link=execution_link(report.execution_arn),
        width=WIDTH,
        times=_times(report, drawn) if drawn else "",
        request=_request(report),
        clock=clock,
        in_words=in_words,
        name=lambda word: str(word).replace("_", " "),
    )
    return "\n".join(map(showable, document.split("\n")))


def answer_page(report: Report) -> str:
    """Return the answer to a dropped file as an HTML document, for those who dropped it.

    It has counts, and ids in warnings, and names no user.
    """
    document: str = _ANSWER(
        report=report,
        title=result(report),
        entries=counted(report.requested, "entry", "entries"),
        policy=_policy(),
        style=_STYLE,
        parts=_parts(report),
        meanings=MEANINGS,
        next=for_the_sender(report),
        happened=_happened(report),
        width=WIDTH,
        name=lambda word: str(word).replace("_", " "),
    )
    return "\n".join(map(showable, document.split("\n")))


def _happened(report: Report) -> list[tuple[str, str]]:
    return [(clock(one.at, zone=True), milestone_text(one)) for one in report.milestones]


def _request(report: Report) -> str:
    return "DELETE" if report.action.deletes else "PUT"


def _times(report: Report, drawn: Timeline) -> str:
    """Say where the time went, without what did not happen."""
    request, sent = _request(report), sum(bool(row.answered_at) for row in report.rows)
    longest = f"{drawn.longest_delete_seconds} s"
    each = f" (the median took {drawn.median_delete_seconds:g} s, the longest {longest})"
    said = (
        f"In {_duration(drawn.seconds)} the portal spent {_duration(drawn.delete_seconds)} on"
        f" {counted(sent, request)}{each if sent > 1 else ''}"
    )
    clauses = []
    if drawn.look_seconds:
        outcomes = "its outcome was" if sent == 1 else "their outcomes were"
        clauses.append(f"{_duration(drawn.look_seconds)} passed until {outcomes} known")
    if report.renewals:
        clauses.append(f"the token was renewed {counted(report.renewals, 'time')}")
    if report.refused_at:
        refused = counted(len(report.refused_at), f"{request} was", f"{request}s were")
        clauses.append(f"{refused} temporarily refused")
    return f"{'; '.join([said, *clauses])}."


def _duration(seconds: int) -> str:
    """Format seconds for people, such as 1 h 5 min."""
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _policy() -> str:
    """Allow this page's own style and script, by their hashes, and nothing else."""
    style, script = (
        f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
        for text in (_STYLE, _SCRIPT)
    )
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; base-uri 'none';"
        " form-action 'none'"
    )


def _parts(report: Report) -> list[dict[str, Any]]:
    """Return each outcome's count, with its position in a bar of `WIDTH`."""
    parts, position = [], 0.0
    for outcome, number in report.counts.items():
        width = WIDTH * number / report.requested
        parts.append({"outcome": outcome, "number": number, "x": position, "width": width})
        position += width
    return parts


def _guarded(report: Report) -> list[tuple[str, list[str]]]:
    """Return whom the guard kept, by its reasons: id and username."""
    names = {row.user_id: row.username for row in report.rows}
    return [
        (reason, [f"{user_id} {names[user_id]}" for user_id in user_ids])
        for reason, user_ids in report.guarded.items()
    ]


# The figures of a cost, in the order of the page, with how each is written.
_FIGURES = {
    "transitions": "State transitions",
    "invocations": "Invocations of functions",
    "billed_ms": "Their time in ms",
    "portal_seconds": "Seconds of it waiting for the portal",
    "ledger_writes": "Write units of the ledger",
    "ledger_reads": "Read units of the ledger",
    "secret_calls": "Calls to Secrets Manager",
    "renewals": "Token renewals",
}


def _cost(report: Report) -> list[tuple[str, str]]:
    """Return each figure of the run's cost: its name, and how much was measured or modelled."""
    parts = {"measured": report.cost.measured, "modelled": report.cost.modelled}
    return [
        (
            said,
            ", ".join(
                f"{getattr(figures, name):,.0f} {how}"
                for how, figures in parts.items()
                if getattr(figures, name)
            )
            or "none",
        )
        for name, said in _FIGURES.items()
    ]


def _area(drawn: Timeline) -> str:
    """Return the path of an area that grows by one step, up to 40, with every user that is gone."""
    if not drawn.gone:
        return ""
    most = drawn.gone[-1][1]
    steps = "".join(f"H{at:g}V{40 - 40 * number / most:.1f}" for at, number in drawn.gone)
    return f"M0 40{steps}H{WIDTH}V40Z"
