"""What starts a run becomes one request, validated before the portal is called."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.requests import (
    AcceptGuardOrder,
    Check,
    CheckOrder,
    CloseOrder,
    EndQuietOrder,
    Request,
    Resume,
    S3Object,
    SealedPlan,
    Source,
    StopOrder,
    Trigger,
    WithdrawOrder,
)
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.request import REQUEST_SCHEMA, read_request

EVENTS = Path(__file__).parents[1] / "events"
DATASET = {"dataset_id": 42}


def read(event: Any, file_drop_mode: Mode = Mode.PREVIEW) -> Request:
    request = read_request(event, file_drop_mode=file_drop_mode)
    assert isinstance(request, Request)
    return request


def refusal(event: Any) -> str:
    with pytest.raises(RequestRefused) as refused:
        read_request(event, file_drop_mode=Mode.PREVIEW)
    return str(refused.value)


def dropped(key: str = "inbox/leavers.csv", **changes: Any) -> dict[str, Any]:
    """The event that S3 sends for a new object."""
    dropped = {"key": key, "version-id": "v1", "etag": "e1", "sequencer": "01", **changes}
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": "data"}, "object": dropped, "reason": "PutObject"},
    }


# A person's request


def test_rule_2_preview_is_the_default() -> None:
    assert read({"source": DATASET}).mode is Mode.PREVIEW


@pytest.mark.parametrize("mode", Mode)
def test_a_request_says_its_mode(mode: Mode) -> None:
    assert read({"source": DATASET, "mode": mode.value}).mode is mode


@pytest.mark.parametrize("mode", ["Apply", "APPLY", "apply ", "", "delete", None, True, ["apply"]])
def test_rule_2_an_invalid_mode_is_refused_and_not_guessed(mode: object) -> None:
    assert refusal({"source": DATASET, "mode": mode}).startswith("The request was refused at mode")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (DATASET, Source(dataset_id=42)),
        ({"dataset_id": 42.0}, Source(dataset_id=42)),  # one number in JSON
        ({"s3": {"bucket": "b", "key": "k"}}, Source(s3=S3Object("b", "k"))),
        (
            {"s3": {"bucket": "b", "key": "k", "version_id": "v"}},
            Source(s3=S3Object("b", "k", version_id="v")),
        ),
        ({"users": ["118", "jdoe"]}, Source(users=("118", "jdoe"))),
        ({"users": [118, "0118"]}, Source(users=("118", "0118"))),
    ],
)
def test_a_request_names_one_source(source: dict[str, Any], expected: Source) -> None:
    request = read({"source": source})

    assert request.source == expected
    assert type(request.source.dataset_id) is type(expected.dataset_id)


def test_a_request_made_by_hand_is_attended_and_may_be_made_twice() -> None:
    request = read({"source": DATASET})

    assert (request.trigger, request.is_attended) == ("console", True)
    assert (request.fingerprint, request.dropped_key) == ("", "")


def test_a_file_that_a_person_names_is_not_a_dropped_file() -> None:
    assert read({"source": {"s3": {"bucket": "data", "key": "inbox/x.csv"}}}).dropped_key == ""


@pytest.mark.parametrize("action", ["delete", "disable", "disable_then_delete", "enable"])
def test_a_request_says_its_action(action: str) -> None:
    assert read({"source": DATASET, "action": action}).action == action
    assert read({"source": DATASET}).action is None


@pytest.mark.parametrize(("given", "rows"), [({}, None), ({"rows": 1}, 1), ({"rows": 9.0}, 9)])
def test_a_roster_may_say_how_many_rows_it_has(given: dict[str, Any], rows: int | None) -> None:
    source = read({"source": {"roster": {**DATASET, **given}}}).source

    assert source == Source(dataset_id=42, is_roster=True, rows=rows)


def test_options_reason_and_name_are_taken_over() -> None:
    request = read(
        {"source": DATASET, "options": {"max_users": 0}, "reason": "HR-1234", "requested_by": "hr"}
    )

    assert request.options == {"max_users": 0}
    assert (request.reason, request.requested_by) == ("HR-1234", "hr")


# A plan to apply, a stop order


def test_a_sealed_plan_is_named_by_its_run_and_hash() -> None:
    plan = {"run_id": "run-1", "sha256": "a" * 64}

    request = read({"mode": "apply", "plan": plan})

    assert request.source == SealedPlan("run-1", "a" * 64)
    assert request.source.describe() == "the plan of run run-1"


def test_a_run_to_resume_is_named_by_its_id() -> None:
    request = read({"mode": "apply", "resume": "run-1"})

    assert request.source == Resume("run-1")
    assert request.source.describe() == "what run run-1 left open"


def test_a_resumed_run_may_be_limited_to_whom_it_had_not_attempted() -> None:
    request = read({"mode": "apply", "resume": "run-1", "only": "not_attempted"})

    assert request.source == Resume("run-1", only_not_attempted=True)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"resume": "run-1"}, 'With resume the request needs "mode": "apply"'),
        ({"mode": "apply", "resume": ""}, "resume must be longer"),
        ({"mode": "apply", "resume": "r", "source": DATASET}, "exactly one of"),
        ({"close": ""}, "close must be longer"),
        ({"close": {"run_id": "run-1"}}, "close must be string"),
        ({"close": "run-1", "mode": "apply"}, "one key is not known. Known keys: close."),
        ({"plan": {"run_id": "run-1", "sha256": "a" * 64}}, 'needs "mode": "apply"'),
        ({"mode": "apply", "plan": {"run_id": "run-1"}}, "plan must contain ['sha256']"),
        ({"mode": "apply", "plan": {"run_id": "r", "sha256": "A" * 64}}, "plan.sha256 must match"),
        ({"mode": "apply", "plan": {"run_id": "", "sha256": "a" * 64}}, "plan.run_id must be"),
        (
            {"mode": "apply", "source": DATASET, "plan": {"run_id": "r", "sha256": "a" * 64}},
            "exactly one of source, plan and resume",
        ),
    ],
)
def test_a_malformed_approval_is_refused(event: dict[str, Any], said: str) -> None:
    assert said in refusal(event)


@pytest.mark.parametrize("run_id", ["", "run-1"])
@pytest.mark.parametrize("word", ["stop", "lift"])
def test_a_stop_order_says_which_run_why_and_who(word: str, run_id: str) -> None:
    order = {"reason": "wrong list", "by": "night shift"} | ({"run_id": run_id} if run_id else {})

    asked = read_request({word: order}, file_drop_mode=Mode.APPLY)

    assert asked == StopOrder("wrong list", "night shift", run_id, lift=word == "lift")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"stop": {"reason": "why"}}, "stop must contain ['by']"),
        ({"stop": {"by": "who"}}, "stop must contain ['reason']"),
        ({"stop": {"by": "who", "reason": ""}}, "stop.reason must be longer"),
        ({"stop": {"by": "who", "reason": "why", "run_id": ""}}, "stop.run_id must be longer"),
        (
            {"stop": {"by": "who", "reason": "why", "run": "run-1"}},
            'at stop: one key is not known. Did you mean "run_id"?',
        ),
        (
            {"stop": {"by": "who", "reason": "why"}, "source": DATASET},
            "one key is not known",
        ),
        ({"lift": None}, "lift must be object"),
        ({"end_quiet": {"reason": "why"}}, "end_quiet must contain ['by']"),
        ({"end_quiet": {"by": "who", "reason": "why", "run_id": "x"}}, "one key is not known"),
        ({"accept_guard": {"by": "who", "reason": "why"}}, "accept_guard must contain ['users'"),
        (
            {"accept_guard": {"by": "who", "reason": "why", "users": 0}},
            "accept_guard.users must be bigger than or equal to 1",
        ),
        (
            {"accept_guard": {"by": "who", "reason": "why", "users": True}},
            "accept_guard.users must be integer",
        ),
    ],
)
def test_a_malformed_stop_order_is_refused_and_not_widened(
    event: dict[str, Any], said: str
) -> None:
    assert said in refusal(event)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({}, "exactly one of source, plan and resume"),
        ({"mode": "apply"}, "exactly one of source, plan and resume"),
        ({"source": {}}, "at source: it must have exactly one of dataset_id, s3, users"),
        ({"source": None}, "source must be object"),
        (
            {"source": {"dataset_id": 1, "users": ["118"]}},
            "it must have exactly one of dataset",
        ),
        (
            {"source": {"everybody": True}},
            "at source: one key is not known",
        ),
        ({"source": {"dataset_id": 0}}, "source.dataset_id must be bigger"),
        ({"source": {"dataset_id": -1}}, "source.dataset_id must be bigger"),
        ({"source": {"dataset_id": "42"}}, "source.dataset_id must be integer"),
        ({"source": {"dataset_id": 4.2}}, "source.dataset_id must be integer"),
        ({"source": {"dataset_id": True}}, "source.dataset_id must be integer"),
        ({"source": {"users": []}}, "source.users must contain at least 1 items"),
        ({"source": {"users": "118"}}, "source.users must be array"),
        ({"source": {"users": ["118", None]}}, "source.users[1] must be string or integer"),
        ({"source": {"users": ["118", 4.2]}}, "source.users[1] must be string or integer"),
        ({"source": {"users": [True]}}, "source.users[0] must be string or integer"),
        ({"source": {"users": [["118"]]}}, "source.users[0] must be string or integer"),
        ({"source": {"s3": {"bucket": "b"}}}, "source.s3 must contain ['key'] properties"),
        ({"source": {"s3": {"bucket": "b", "key": ""}}}, "source.s3.key must be longer"),
        (
            {"source": {"s3": {"bucket": "b", "key": "k", "x": 1}}},
            "at source.s3: one key is not known",
        ),
        ({"source": DATASET, "options": {"max_user": 1}}, 'Did you mean "max_users"?'),
        ({"source": DATASET, "options": {"max_users": -1}}, "options.max_users must be bigger"),
        ({"source": DATASET, "options": {"max_users": None}}, "options.max_users must be integer"),
        ({"source": DATASET, "options": {"max_percent": 101}}, "options.max_percent must be"),
        ({"source": DATASET, "options": {"max_percent": "9"}}, "options.max_percent must be"),
        (
            {"source": DATASET, "options": {"max_not_found_percent": 9}},
            "at options: one key is not known",
        ),
        ({"source": DATASET, "reason": "x" * 501}, "reason must be shorter"),
        ({"source": DATASET, "requested_by": 7}, "requested_by must be string"),
        (
            {"source": DATASET, "dry_run": True},
            "at the request: one key is not known",
        ),
    ],
)
def test_a_malformed_request_is_refused_by_its_field(event: dict[str, Any], said: str) -> None:
    assert said in refusal(event)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"modus": "apply"}, 'at the request: one key is not known. Did you mean "mode"?'),
        ({"Mode": "apply"}, 'Did you mean "mode"?'),
        ({"requestedBy": "hr"}, 'Did you mean "requested_by"?'),
        ({"source": {"datasetId": 42}}, "at source: one key is not known. Did you mean"),
        ({"source": {"dataset": 42}}, 'Did you mean "dataset_id"?'),
        ({"source": {"s3": {"bucket": "b", "key": "k", "version": "v"}}}, '"version_id"?'),
        ({"options": {"max-users": 5}}, "at options: one key is not known. Did you mean"),
        ({"users": ["118"]}, '"users" belongs in "source".'),
        ({"max_users": 5}, 'belongs in "options".'),
        ({"plan": {"run": "r", "sha256": "a" * 64}}, "at plan: one key is not known. Did you"),
        ({"jdoe@example.com": 1}, "one key is not known. Known keys: mode, plan, "),
        ({"jdoe": "jdoe@example.com"}, "one key is not known. Known keys: mode, plan, "),
    ],
)
def test_a_misspelled_key_is_refused_with_a_suggestion(event: dict[str, Any], said: str) -> None:
    assert said in refusal({"source": DATASET, **event})


@pytest.mark.parametrize("event", [None, [], "apply", 7, True, [{"source": DATASET}]])
def test_a_request_that_is_not_an_object_is_refused(event: object) -> None:
    assert refusal(event) == "The request must be a JSON object."


@pytest.mark.parametrize(
    "event",
    [
        {"source": {"dataset_id": "jdoe@example.com"}},
        {"source": {"users": [{"jdoe": "jdoe@example.com"}]}},
        {"source": "jdoe"},
        {"source": DATASET, "mode": "jdoe"},
        {"source": DATASET, "reason": ["jdoe"]},
        {"source": DATASET, "requested_by": "jdoe" * 100},
    ],
)
def test_rule_6_a_refusal_repeats_no_value(event: dict[str, Any]) -> None:
    assert "jdoe" not in refusal(event)


# A dropped file


@pytest.mark.parametrize("mode", Mode)
def test_a_dropped_file_starts_what_the_stack_says(mode: Mode) -> None:
    request = read(dropped(), file_drop_mode=mode)

    assert request.mode is mode
    assert (request.trigger, request.is_attended) == ("s3", False)
    this = S3Object("data", "inbox/leavers.csv", "v1", "e1", written_by="PutObject")
    assert request.source == Source(s3=this)
    assert request.dropped_key == "inbox/leavers.csv"


@pytest.mark.parametrize(
    "key", ["inbox/a+b.csv", "inbox/a b.csv", "inbox/100%25.csv", "inbox/ä+é.csv", "inbox/%2B"]
)
def test_a_dropped_file_is_read_under_the_very_name_it_has(key: str) -> None:
    """EventBridge sends the key as it is; S3's own notifications would have it URL-encoded."""
    assert read(dropped(key)).dropped_key == key


@pytest.mark.parametrize("key", ["inbox/", "inbox/2026/"])
def test_a_folder_starts_nothing(key: str) -> None:
    assert read_request(dropped(key), file_drop_mode=Mode.APPLY) is None


def test_without_versions_the_etag_says_which_file_was_dropped() -> None:
    event = dropped()
    del event["detail"]["object"]["version-id"]

    this = S3Object("data", "inbox/leavers.csv", "", "e1", written_by="PutObject")
    assert read(event).source == Source(s3=this)


def test_rule_7_the_same_event_has_the_same_fingerprint_and_another_drop_has_another() -> None:
    first = read(dropped()).fingerprint

    assert first
    assert read({**dropped(), "id": "delivered again", "time": "later"}).fingerprint == first
    others = [
        dropped("inbox/other.csv"),
        dropped(**{"version-id": "v2"}),
        dropped(sequencer="02"),
    ]
    assert len({first, *(read(other).fingerprint for other in others)}) == 4


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"detail-type": "Object Created"}, "detail"),
        ({"detail-type": "Object Created", "detail": None}, "detail"),
        ({"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}}}, "object"),
        ({"detail-type": "Object Created", "detail": {"object": {"key": "k"}}}, "bucket"),
        (dropped(key=""), "detail.object.key"),
        ({**dropped(), "detail": {**dropped()["detail"], "object": {}}}, "key"),
        ({**dropped(), "detail": {**dropped()["detail"], "object": {"key": 7}}}, "object.key"),
    ],
)
def test_an_event_without_a_file_is_refused_by_its_field(event: dict[str, Any], field: str) -> None:
    assert field in refusal(event)


def test_an_event_of_another_kind_is_refused() -> None:
    assert refusal({**dropped(), "detail-type": "Object Deleted"})


# A schedule


def scheduled(request: object, at: object = "2026-11-20T20:00:00Z") -> dict[str, Any]:
    return {"scheduled_time": at, "request": request}


def test_a_schedule_starts_its_request() -> None:
    request = read(scheduled({"source": DATASET, "mode": "apply"}))

    assert (request.mode, request.source) == (Mode.APPLY, Source(dataset_id=42))
    assert (request.trigger, request.is_attended) == ("schedule", False)


def test_rule_2_a_schedule_without_a_mode_is_a_preview() -> None:
    assert read(scheduled({"source": DATASET}), file_drop_mode=Mode.APPLY).mode is Mode.PREVIEW


def test_rule_7_a_schedule_runs_once_each_time() -> None:
    first = read(scheduled({"source": DATASET, "mode": "apply"})).fingerprint

    assert read(scheduled({"mode": "apply", "source": DATASET})).fingerprint == first
    assert read(scheduled({"source": DATASET})).fingerprint != first
    assert read(scheduled({"source": DATASET}, at="2026-11-27T20:00:00Z")).fingerprint != first


def test_rule_7_a_schedule_may_ask_for_a_check_once_each_time() -> None:
    def order(request: dict[str, str], at: str) -> CheckOrder:
        asked = read_request(scheduled(request, at), file_drop_mode=Mode.PREVIEW)
        assert isinstance(asked, CheckOrder)
        return asked

    monday, tuesday = "2026-11-23T07:00:00Z", "2026-11-24T07:00:00Z"
    watch, portal = {"check": "population"}, {"check": "portal"}

    assert order(watch, monday).what is Check.POPULATION
    assert order(watch, monday) == order(watch, monday)
    fingerprints = {
        order(request, at).fingerprint for request in (watch, portal) for at in (monday, tuesday)
    }
    assert len(fingerprints - {""}) == 4


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (scheduled({"check": "coffee"}), "check must be one of"),
        (scheduled({"check": "population", "mode": "apply"}), "one key is not known"),
        (scheduled({}), "exactly one of source, plan and resume"),
        (scheduled(None), "request must be object"),
        (scheduled({"source": {"users": []}}), "source.users must contain"),
        ({"scheduled_time": "2026-11-20T20:00:00Z"}, "must contain ['request'] properties"),
        # Without a time, every later run would count as the first one.
        (scheduled({"source": DATASET}, at=None), "scheduled_time must be string"),
        (scheduled({"source": DATASET}, at=""), "scheduled_time must be longer"),
        # This is meant as a preview.
        (
            {**scheduled({"source": DATASET, "mode": "apply"}), "mode": "preview"},
            "one key is not known. Known keys: scheduled_time, request.",
        ),
    ],
)
def test_a_malformed_schedule_is_refused_by_its_field(event: dict[str, Any], said: str) -> None:
    assert said in refusal(event)


# All of them


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.name) for path in sorted(EVENTS.glob("*.json"))]
)
def test_every_sample_asks_for_what_its_name_says(path: Path) -> None:
    asked = read_request(json.loads(path.read_text()), file_drop_mode=Mode.PREVIEW)

    word = path.name.partition("_")[0]
    if word in {"stop", "lift"}:
        assert isinstance(asked, StopOrder)
        assert asked.lift == (word == "lift")
    elif word == "end":
        assert asked == EndQuietOrder("the portal is up again", "platform team")
    elif word == "accept":
        why = "the sales team's dashboards are gone"
        assert asked == AcceptGuardOrder(40, why, "portal team")
    elif word == "close":
        assert asked == CloseOrder("NAME-OF-THE-EXECUTION-THAT-ENDED")
    elif word == "check":
        assert asked == CheckOrder(Check(path.stem.removeprefix("check_")))
    elif path.name == "watch.json":
        assert isinstance(asked, CheckOrder)
        assert (asked.what, bool(asked.fingerprint)) == (Check.POPULATION, True)
    elif word == "withdraw":
        assert isinstance(asked, WithdrawOrder)
        assert bool(asked.users) != bool(asked.run_id)
    elif word == "due.json":
        assert isinstance(asked, Request)
        assert (asked.mode, asked.trigger) == (Mode.APPLY, Trigger.DUE)
    else:
        assert isinstance(asked, Request)
        assert asked.source.describe()
        assert asked.mode is (Mode.APPLY if word in {"apply", "resume.json"} else Mode.PREVIEW)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(dataset_id=42), "dataset 42"),
        (Source(s3=S3Object("data", "inbox/x.csv", "v1")), "s3://data/inbox/x.csv"),
        (Source(users=("jdoe", "118")), "a list of 2 users in the request"),
        (Source(due=True), "leavers who are due"),
    ],
)
def test_rule_6_a_source_is_described_without_any_names(source: Source, said: str) -> None:
    assert source.describe() == said


words = st.sampled_from(
    [
        *REQUEST_SCHEMA["properties"],
        *REQUEST_SCHEMA["properties"]["source"]["properties"],
        *REQUEST_SCHEMA["properties"]["options"]["properties"],
        *("detail-type", "detail", "bucket", "name", "object", "key", "scheduled_time", "request"),
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["apply", "preview", "Object Created", "inbox/x.csv", "118"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {"source": st.fixed_dictionaries({"users": st.lists(st.text() | st.integers(), max_size=3)})},
    optional={"mode": values, "options": st.dictionaries(words, st.integers() | st.floats())},
)
events = st.dictionaries(words, values) | requests | st.builds(dropped, values)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(events | st.builds(scheduled, requests | values, values))
def test_whatever_is_sent_it_is_a_request_or_refused(event: Mapping[str, Any]) -> None:
    try:
        request = read_request(event, file_drop_mode=Mode.PREVIEW)
    except RequestRefused:
        return
    if isinstance(request, Request):
        assert as_read_plainly(event) == (request.mode, request.source, dict(request.options))


def as_read_plainly(event: Mapping[str, Any]) -> tuple[Mode, object, dict[str, Any]]:
    """Read an accepted event again, trusting it to be valid."""
    if "detail-type" in event:
        detail = event["detail"]["object"]
        name = event["detail"]["bucket"]["name"]
        version, etag = detail.get("version-id") or "", detail.get("etag") or ""
        return Mode.PREVIEW, Source(s3=S3Object(name, detail["key"], version, etag)), {}
    document = event["request"] if "scheduled_time" in event else event
    source: object = None
    if "plan" in document:
        source = SealedPlan(document["plan"]["run_id"], document["plan"]["sha256"])
    elif "resume" in document:
        source = Resume(document["resume"])
    elif "users" in document["source"]:
        source = Source(users=tuple(f"{user}" for user in document["source"]["users"]))
    elif "s3" in document["source"]:
        source = Source(s3=S3Object(**document["source"]["s3"]))
    else:
        source = Source(dataset_id=document["source"]["dataset_id"])
    return Mode(document.get("mode", "preview")), source, document.get("options", {})
