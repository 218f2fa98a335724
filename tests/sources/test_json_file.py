"""JSON as programs write it; what is not a list of users is refused, cheaply."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources import entries_from_file
from bulk_user_deletion.sources.json_file import LONGEST_VALUE


def refusal(text: str) -> str:
    with pytest.raises(RequestRefused) as refused:
        entries_from_file(text.encode())
    return str(refused.value)


USERS = [{"user_id": 118}, {"username": "jdoe"}, {"email": "jdoe@example.com"}]
ENTRIES = [
    Entry(1, user_id="118"),
    Entry(2, username="jdoe"),
    Entry(3, email="jdoe@example.com"),
]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(USERS),
        json.dumps(USERS, indent=4),
        json.dumps({"users": USERS}),
        json.dumps({"users": USERS}, indent=4),
        "\ufeff\r\n " + json.dumps(USERS),
        "\n".join(map(json.dumps, USERS)),
        "\r\n".join(map(json.dumps, USERS)) + "\r\n",
    ],
)
def test_a_list_an_object_with_users_and_json_lines_say_the_same(text: str) -> None:
    assert entries_from_file(text.encode()) == ENTRIES


def test_json_lines_are_numbered_as_lines_and_an_object_may_go_over_several() -> None:
    text = '{"user_id": 118}\n\n{\n  "user_id": 119\n}\n{"user_id": 120}'

    assert [entry.line for entry in entries_from_file(text.encode())] == [1, 3, 6]


@pytest.mark.parametrize("text", ["[]", ' { "users" : [ ] } ', "[\n]\n"])
def test_a_list_of_nobody_has_no_entries(text: str) -> None:
    assert entries_from_file(text.encode()) == []


@pytest.mark.parametrize("number", ["118", "119000000000000"])
def test_a_whole_number_and_the_same_as_text_are_one(number: str) -> None:
    [as_number, as_text] = entries_from_file(f'[{number}, "{number}"]'.encode())

    assert as_number.bare == as_text.bare == number


@pytest.mark.parametrize("number", ["0", "-5", "-0", "1" * 40, "1" * 5_000])
def test_a_number_that_is_no_user_id_is_refused(number: str) -> None:
    assert refusal(f'[{{"user_id": {number}}}]').startswith(
        "The user_id in entry 1, column user_id"
    )


@pytest.mark.parametrize("value", ["1e3", "118.0", "true", "[118]", "{}", '{"id": 118}'])
def test_of_a_key_that_counts_the_value_is_text_or_a_whole_number(value: str) -> None:
    for key in ("user_id", "username", "email"):
        said = refusal(f'[{{"{key}": {value}}}]')
        assert said.startswith(f"The {key} in entry 1 is neither text nor a whole number")


@pytest.mark.parametrize(
    "beside",
    [
        '"leaver": {"username": "user0018"}',
        '"deleted": {"email": "user0018@example.com"}',
        '"user": {"username": "user0018"}',
        '"subject": {"profile": {"login": "user0018"}}',
    ],
)
def test_a_leaver_beside_a_list_of_people_is_refused_wherever_it_stands(beside: str) -> None:
    users = '"users": [{"username": "user0019"}]'
    for text in (f"{beside}, {users}", f"{users}, {beside}", f'"data": {{{beside}, {users}}}'):
        assert "names somebody and holds other people, too" in refusal(f"{{{text}}}")


@pytest.mark.parametrize(
    "beside",
    [
        '"manager": {"username": "user0018"}',
        '"deleted": {"count": 1}',
        '"user": null',
        '"meta": {"exported": "2026-11-26"}',
    ],
)
def test_what_is_no_leaver_beside_a_list_of_people_is_ignored(beside: str) -> None:
    for text in (f'{beside}, "users": ["user0019"]', f'"users": ["user0019"], {beside}'):
        assert entries_from_file(f"{{{text}}}".encode()) == [Entry(1, bare="user0019")]


@pytest.mark.parametrize("key", ["leaver", "targets", "members", "terminatedUsers", "Person"])
@pytest.mark.parametrize("others", ["[]", "[7]", '["7"]', '[{"id": 7}]', "{}", '{"id": 7}'])
def test_whoever_names_others_beside_himself_is_refused_whatever_their_form(
    key: str, others: str
) -> None:
    own = '"username": "hr"'
    for one in (f'{{{own}, "{key}": {others}}}', f'{{"{key}": {others}, {own}}}'):
        for text in (one, f"[{one}]"):
            assert "names somebody and holds other people, too" in refusal(text)


def test_a_runs_own_documents_are_told_by_its_id_and_what_they_hold() -> None:
    for word in ("rows", "entries", "counts", "sentence"):
        assert "is the plan, the report or the answer of a run" in refusal(
            f'{{"run_id": "run-1", "{word}": 1}}'
        )
        assert "names nobody" in refusal(f'{{"{word}": 1}}')


def test_other_keys_may_hold_anything() -> None:
    other = '{"username": "jdoe", "a": [{"user_id": [1.5, -1e9, null, true]}], "b": {"c": {}}}'

    assert entries_from_file(f"[{other}]".encode()) == [Entry(1, username="jdoe")]


@pytest.mark.parametrize(
    "text",
    [
        '[{"user_id": 118, "user_id": 118}]',
        '[{"user_id": 118, "x": {"y": 1, "y": 2}}]',
        '{"user_id": 118, "user_id": 119}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(text: str) -> None:
    assert "has a key twice" in refusal(text)


@pytest.mark.parametrize("text", ["[NaN]", '[{"user_id": 1, "x": Infinity}]', "[-Infinity]"])
def test_what_is_no_json_is_refused_wherever_it_stands(text: str) -> None:
    assert "entry 1 is not a value" in refusal(text)


@pytest.mark.parametrize("size", [1_000, 1_024, 1_030, LONGEST_VALUE - 100])
@pytest.mark.parametrize("before", range(8))
def test_no_value_is_cut_wherever_it_ends(size: int, before: int) -> None:
    pad = "x" * (size - before)
    text = json.dumps([{"pad": pad, "user_id": 118119120}, 118119120, "j" * 300])

    assert [e.user_id or e.bare for e in entries_from_file(text.encode())] == [
        "118119120",
        "118119120",
        "j" * 300,
    ]


@pytest.mark.parametrize("digits", [1_023, 1_024, 1_025, LONGEST_VALUE])
def test_half_a_number_is_not_taken_for_a_number(digits: int) -> None:
    """Nor is a user id: what matters is that none of its beginnings is read as one."""
    assert "entry 1" in refusal(f"[{'1' * digits}]")


def test_an_entry_may_not_be_endless() -> None:
    said = refusal(json.dumps([118, {"user_id": 119, "note": "x" * LONGEST_VALUE}]))

    assert said.endswith(f"entry 2 is not a value, or has more than {LONGEST_VALUE} characters.")


@pytest.mark.parametrize("before", ["", "\n", "\n\n\n"])
def test_the_line_of_a_mistake_is_named(before: str) -> None:
    line = len(before) + 4
    assert f"in line {line}: " in refusal(before + '[\n118,\n\n"jdoe" 119]')
    assert f"in line {line}: " in refusal(before + '{"a": 1,\n\n"users":\n["jdoe" 119]}')
    assert f"in line {line}, column user_id" in refusal(
        before + '{"user_id": 118}\n{"user_id":\n 119}\n{"user_id": 0}'
    )


def test_rule_6_a_refusal_names_the_place_and_not_what_stands_there() -> None:
    for text in (
        '["jdoe" "jdoe"]',
        '[{"jdoe": 1}]',
        '[{"user_id": "jdoe"}]',
        '[{"user_id": 1, "jdoe": 1, "jdoe": 2}]',
        '{"users": {"jdoe": 1}}',
        '{"jdoe": 1, "user_id": 118} "jdoe"',
    ):
        assert "jdoe" not in refusal(text)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"user_id": st.integers(1, 10**18)},
            optional={
                "username": st.text("abc", max_size=3) | st.none(),
                "other": st.recursive(
                    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                ),
            },
        )
    ),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_what_is_accepted_is_what_was_written(
    users: list[dict[str, object]], indent: int | None, ascii_alone: bool
) -> None:
    text = json.dumps(users, indent=indent, ensure_ascii=ascii_alone)
    try:
        entries = entries_from_file(text.encode("utf-8", "replace"))
    except RequestRefused as refusal:
        assert "holds other people" in str(refusal)  # noqa: PT017
        return

    assert entries == [
        Entry(line, user_id=str(user["user_id"]), username=str(user.get("username") or ""))
        for line, user in enumerate(users, start=1)
    ]
