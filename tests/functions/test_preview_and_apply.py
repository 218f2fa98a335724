"""What apply deletes is what the preview said: for any portal, source and settings."""

from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import RequestRefused
from local.portal import PortalSimulator
from tests.functions.memory_table import keep_in_memory
from tests.functions.stack import Stack

NAMES = ("ann", "bob", "cy", "dee", "eve", "svc-mail", "110", "112")
EMAILS = ("ann@example.com", "team@example.com", "x@example.com", "", None)

users = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["regular", "power", "administrator", "auditor"]),
        st.sampled_from(EMAILS),
        st.sampled_from("YN"),
    ),
    min_size=3,
    max_size=8,
    unique_by=lambda user: user[0],
)
written = st.sampled_from([str.upper, str.lower, lambda text: f"  {text} "])
named = st.sampled_from([*NAMES, *filter(None, EMAILS), *map(str, range(110, 120)), "stranger"])
sources = st.lists(
    st.builds(lambda write, name: write(name), written, named), min_size=1, max_size=10
)
options = st.fixed_dictionaries(
    {},
    optional={
        "max_users": st.sampled_from([3, 12]),
        "max_percent": st.sampled_from([50, 100]),
        "canary_users": st.integers(0, 3),
    },
)
protected_lists = st.sampled_from(["", "svc-*,,\n", "ANN,,\n", "team@example.com,2000-01-01,\n"])


def refused(stack: Stack, request: dict[str, Any], run_id: str) -> str:
    """Plan a request; return why it was refused, or nothing."""
    try:
        stack.fetch_user_ids(request, run_id)
    except RequestRefused as error:
        return str(error)
    return ""


@pytest.mark.thorough
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users, sources, options, protected_lists)
def test_what_apply_deletes_is_what_the_preview_said(
    monkeypatch: pytest.MonkeyPatch,
    users: list[tuple[str, str, str | None, str]],
    source: list[str],
    options: dict[str, Any],
    protected: str,
) -> None:
    with ExitStack() as resources:
        portal = resources.enter_context(PortalSimulator(users=2))
        for number, (username, kind, email, ldap) in enumerate(users, start=110):
            portal.database.execute(
                "INSERT INTO user VALUES (?, ?, '', '', ?, ?, 'Y', ?)",
                (number, username, kind, email, ldap),
            )
        parameters = {
            "PROTECTED_LIST": "protected.csv",
            "MAX_PERCENT": "100",
            "MAX_PERCENT_PER_DAY": "100",
        }
        for name, value in {**Stack.environment(portal.url), **parameters}.items():
            monkeypatch.setenv(name, value)
        resources.enter_context(mock_aws())
        keep_in_memory(resources.enter_context(pytest.MonkeyPatch.context()))
        stack = Stack(portal)
        stack.s3.put_object(
            Bucket="data", Key="protected.csv", Body=f"user,until,reason\n{protected}".encode()
        )
        before = portal.user_ids()
        request = {"source": {"users": source}, "options": options}

        refusal = refused(stack, request, "preview")
        if refusal:
            assert refused(stack, {**request, "mode": "apply"}, "apply") == refusal
            assert stack.writes() == []
            return
        said = {
            int(entry["user"]["user_id"])
            for entry in stack.read_json("runs/preview/plan.json")["entries"]
            if entry["outcome"] == "would_delete"
        }
        assert stack.writes() == []
        approval = {"run_id": "preview", "sha256": stack.plan_sha256("preview")}
        stack.fetch_user_ids({"mode": "apply", "plan": approval}, "apply")
        stack.work_off("apply")

        event(f"{min(len(said), 3)} or more deleted")
        assert before - portal.user_ids() == said
        assert sorted(request.user_id or 0 for request in stack.writes()) == sorted(said)
    adapters.cache_clear()
