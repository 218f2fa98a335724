"""What is in a cell but not a name is reported as what it is; what is a name is read."""

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources import entries_from_file, entries_from_list


def refusal(content: str) -> str:
    with pytest.raises(RequestRefused) as refused:
        entries_from_file(content.encode())
    assert "user0018" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("mailto:user0018@example.com", "prefix such as mailto:"),
        ("SMTP:user0018@example.com", "prefix such as mailto:"),
        ("Doe <user0018@example.com>", "a name and an address"),
        ("Jo Doe (user0018@example.com)", "a name and an address"),
        ("“user0018”", "is in quotes"),
        ("'user0018", "begins with an apostrophe"),
        ("- user0018", "a bullet or a number of a list"),
        ("•user0018", "a bullet or a number of a list"),
        ("1. user0018", "a bullet or a number of a list"),
        ("=A1", "is a formula"),
        ("#REF!", "a spreadsheet's error"),
        ("# user0018", "has a comment"),
        ("user0018 # left", "has a comment"),
        ("CN=Jo Doe,OU=x", "a directory's path"),
        ("[user0018]", "begins with a bracket"),
        ("username: user0018", "a word, a colon and a value"),
        ("username=user0018", "a word and its value"),
        ("Keep:", "ends with a colon"),
        ("*** end ***", "is a decoration"),
        ("*", "neither a letter nor a digit"),
        ("user0018; user0019", "two names"),
        ("user0018/user0019", "two names"),
        ("a@example.com b@example.com", "two names"),
        ("a@example.com 118", "two names"),
        ("user0018, user0019", "two names"),
        ("please delete user0018 as of today", "a text of several words"),
        ("Grand Total: 2", "may be a total"),
        ("(2 rows affected)", "may be a total"),
        ("118.0", "changed the number"),
        ("1.18E+02", "changed the number"),
        ("../1", "it is a path"),
    ],
)
def test_what_is_no_name_is_told_as_what_it_is(value: str, said: str) -> None:
    quoted = value.replace('"', '""')
    for content in (f'username,x\n"{quoted}",y\n', f'user0001\n"{quoted}"\n'):
        assert said in refusal(content)
    with pytest.raises(RequestRefused, match=r"source\.users, entry 1"):
        entries_from_list([value])


@pytest.mark.parametrize(
    "value",
    [
        "jdoe",
        "j.doe",
        "0118",
        "118",
        "CORP\\jdoe",
        "müller",
        "O'Brien",
        "Doe, Jane",
        "totally",
        "nils",
    ],
)
def test_what_is_a_name_is_read(value: str) -> None:
    assert entries_from_file(f'username,x\n"{value}",y\n'.encode()) == [Entry(2, username=value)]


@pytest.mark.parametrize(
    "word",
    ["NULL", "null", "\\N", "None", "N/A", "n.a.", "nil", "#N/A", "-", "—", "(null)", "NaN", "#NV"],
)
def test_a_word_for_nothing_names_nobody(word: str) -> None:
    assert entries_from_file(f"username,email\n{word},a@example.com\n".encode()) == [
        Entry(2, email="a@example.com")
    ]
    assert "Line 2 names nobody" in refusal(f"username,x\n{word},y\n")
    assert "line 2 is a word for nothing" in refusal(f"user0001\n{word}\n")
    with pytest.raises(RequestRefused, match="a word for nothing"):
        entries_from_list([word])


def test_a_row_of_an_id_alone_that_may_be_another_systems_is_refused() -> None:
    said = refusal("User ID,Username,Department\n118,,Sales\n119,jdoe,Sales\n")

    assert said.startswith("Line 2 names somebody by a number alone")


@pytest.mark.parametrize(
    "content",
    [
        '{"email": "hr@example.com", "leavers": []}',
        '{"email": "hr@example.com", "leavers": {"a": {"email": "user0018@example.com"}}}',
        '{"email": "hr@example.com", "leavers": "user0018, user0019"}',
        '{"email": "hr@example.com", "leaver": {"email": "user0018@example.com"}}',
        '{"email": "hr@example.com", "employee": {"email": "user0018@example.com"}}',
        '{"email": "hr@example.com", "deleted": {"username": "user0018"}}',
        '{"email": "hr@example.com", "data": {"email": "user0018@example.com"}}',
    ],
)
def test_an_object_that_holds_other_people_is_nobody(content: str) -> None:
    for text in (content, f"[{content}]", f"{content}\n{content}"):
        assert "holds other people" in refusal(text)


@pytest.mark.parametrize(
    "relation", ["manager", "supervisor", "createdBy", "requester", "approver"]
)
def test_who_belongs_to_somebody_is_ignored(relation: str) -> None:
    content = f'[{{"email": "a@example.com", "{relation}": {{"email": "boss@example.com"}}}}]'

    assert entries_from_file(content.encode()) == [Entry(1, email="a@example.com")]
