"""Which user an entry names: exactly one, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.models.names import fold, fold_loosely
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.users import PortalUser, ReasonKind
from bulk_user_deletion.rules.identity import (
    Directory,
    Match,
    identity_keys,
    is_user_id,
    keys_of_each_value,
    user_keys,
)
from tests.builders import a_user, bare_entries, column_entries, portals

ANN = a_user(118, "ann", email="ann@example.com")
BOB = a_user(119, "bob", email="bob@example.com")


def match(entry: Entry, *users: PortalUser) -> Match:
    return Directory(users).match(entry)


@pytest.mark.parametrize("text", ["1", "118", "9" * 19])
def test_a_user_id_is_a_whole_number_from_1_in_plain_digits(text: str) -> None:
    assert is_user_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "007",
        "-5",
        "+5",
        "1e3",
        "1.0",
        "1_000",
        "1,000",
        " 118",
        "118\n",
        "0x76",
        "../1",
        "1/../2",
        "118?x",
        "²",  # str.isdigit says yes
        "\uff11\uff11\uff18",  # full-width digits: int() says 118
        "\u0661\u0661\u0668",  # Arabic-Indic digits: int() says 118
        "1" * 20,
    ],
)
def test_nothing_else_is_a_user_id(text: str) -> None:
    assert not is_user_id(text)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, bare="118"),
        Entry(1, bare="ann"),
        Entry(1, bare="ann@example.com"),
        Entry(1, user_id="118"),
        Entry(1, username="ann"),
        Entry(1, email="ann@example.com"),
        Entry(1, user_id="118", username="ann", email="ann@example.com"),
    ],
)
def test_an_entry_names_its_user_by_id_username_or_email(entry: Entry) -> None:
    assert match(entry, ANN, BOB) == Match(user=ANN)


@pytest.mark.parametrize(
    ("written", "in_the_portal"),
    [
        ("ANN", "ann"),
        ("  ann\t", "ann"),
        ("\u00a0ann", "ann"),  # a no-break space, as spreadsheets paste it
        ("ann", " Ann "),
        ("MÜLLER", "mu\u0308ller"),  # however the letter is composed
        ("ΓΙΩΡΓΟΣ", "Γιωργος"),
    ],
)
def test_names_are_compared_trimmed_and_lower_cased(written: str, in_the_portal: str) -> None:
    ann = a_user(118, in_the_portal)

    assert match(Entry(1, bare=written), ann, BOB).user is ann
    assert match(Entry(1, username=written), ann, BOB).user is ann


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("straße", "strasse"),
        ("STRASSE", "straße"),
        ("ﬁnn", "finn"),  # a ligature
        ("ſam", "sam"),  # the long s
        ("\u212aim", "kim"),  # the Kelvin sign, which even composes to K
        ("\u212bsa", "\u00e5sa"),  # the Ångström sign
        ("İpek", "ipek"),
        ("ŉa", "ʼna"),
    ],
)
def test_what_full_case_folding_alone_makes_equal_names_nobody(one: str, other: str) -> None:
    for written, there in ((one, other), (other, one)):
        ann = a_user(118, there, email=f"{there}@example.com")

        assert match(Entry(1, bare=written), ann, BOB) == Match(problem=ReasonKind.NOT_FOUND)
        assert match(Entry(1, username=written), ann, BOB).user is None
        assert match(Entry(1, email=f"{written}@example.com"), ann, BOB).user is None


@given(st.text(max_size=8), st.text(max_size=8))
def test_names_that_are_equal_are_equal_loosely_too(one: str, other: str) -> None:
    """So the protection and the record of a user deleted by a name are found under that name."""
    for text in (one, other, one.upper(), one.lower(), one.swapcase()):
        if fold(text) == fold(one):
            assert fold_loosely(text) == fold_loosely(one)
    assert fold(fold(one)) == fold(one)
    assert (fold(one) == fold(other)) <= (fold_loosely(one) == fold_loosely(other))


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, bare="carl"),
        Entry(1, bare="an"),
        Entry(1, bare="an%"),
        Entry(1, bare="*"),
        Entry(1, user_id="120"),
        Entry(1, username="118"),  # an id in the username's column is not an id
        Entry(1, user_id="ann"),
        Entry(1, bare="0118"),
        Entry(1, bare="\uff11\uff11\uff18"),
        Entry(1, bare="1.18e2"),
    ],
)
def test_a_name_that_no_user_has_is_not_found(entry: Entry) -> None:
    assert match(entry, ANN, BOB) == Match(problem=ReasonKind.NOT_FOUND)


def test_an_email_that_two_users_share_is_ambiguous() -> None:
    users = [a_user(n, email="Team@example.com") for n in (118, 119)]

    assert match(Entry(1, email="team@example.com"), *users).problem == "ambiguous"
    assert match(Entry(1, bare="team@example.com"), *users).problem == "ambiguous"


def test_a_shared_email_beside_an_id_names_the_one_user_that_has_both() -> None:
    one, other = (a_user(n, email="team@example.com") for n in (118, 119))

    assert match(Entry(1, user_id="119", email="team@example.com"), one, other).user is other


def test_usernames_that_differ_in_case_only_are_ambiguous() -> None:
    users = [a_user(118, "ann"), a_user(119, "Ann")]

    assert match(Entry(1, username="ann"), *users).problem == "ambiguous"


def test_a_number_that_is_one_users_id_and_anothers_username_is_ambiguous() -> None:
    assert match(Entry(1, bare="118"), ANN, a_user(7, "118")).problem == "ambiguous"


def test_a_number_that_is_one_users_id_and_username_names_that_user() -> None:
    ann = a_user(118, "118")

    assert match(Entry(1, bare="118"), ann, BOB).user is ann


def test_a_number_that_nobody_holds_as_id_is_not_read_as_somebodys_username() -> None:
    """User 118 has left since the list was made; the employee number 118 is another person."""
    employee = a_user(7, "118")

    assert match(Entry(1, bare="118"), employee, BOB).problem == "ambiguous"
    assert match(Entry(1, username="118"), employee, BOB).user is employee


def test_a_text_that_is_one_users_email_and_anothers_username_is_ambiguous() -> None:
    impostor = a_user(7, "ann@example.com", email="x@example.com")

    assert match(Entry(1, bare="ann@example.com"), ANN, impostor).problem == "ambiguous"


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, user_id="118", username="bob"),
        Entry(1, user_id="118", email="bob@example.com"),
        Entry(1, username="ann", email="bob@example.com"),
        Entry(1, user_id="118", username="ann", email="bob@example.com"),
        Entry(1, user_id="118", username="carl"),
        Entry(1, user_id="120", username="ann"),
    ],
)
def test_columns_that_name_different_users_disagree(entry: Entry) -> None:
    assert match(entry, ANN, BOB) == Match(problem=ReasonKind.COLUMNS_DISAGREE)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            Entry(1, username="Jo Doe", email="ann@example.com"),
            "the e-mail names user 118, the username nobody",
        ),
        (Entry(1, user_id="118", username="bob"), "the id names user 118, the username user 119"),
        (Entry(1, user_id="9", bare="bob"), "the name names user 119, the id nobody"),
    ],
)
def test_columns_that_disagree_are_described_by_the_users_they_name(
    entry: Entry, said: str
) -> None:
    assert match(entry, ANN, BOB).detail == said


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0"])
def test_a_blank_value_does_not_name_the_user_whose_name_is_blank(blank: str) -> None:
    nameless = a_user(7, "", email="")

    assert match(Entry(1, bare=blank), nameless).user is None
    assert match(Entry(1, username=blank), nameless).user is None
    assert match(Entry(1, email=blank), nameless).user is None


def test_an_entry_that_names_nothing_names_nobody() -> None:
    assert match(Entry(1), ANN, a_user(7, "", email="")) == Match(problem=ReasonKind.NOT_FOUND)


def test_a_user_that_the_portal_lists_twice_is_one_user() -> None:
    directory = Directory([ANN, BOB, ANN])

    assert directory.users == (ANN, BOB)
    assert directory.match(Entry(1, bare="ann")).user is ANN


def test_the_directory_lists_the_ids_of_its_users_and_no_name() -> None:
    directory = Directory([ANN, BOB])

    assert [directory.lists(user.user_id) for user in (ANN, BOB)] == [True, True]
    assert not directory.lists("999")
    assert not directory.lists(ANN.username)


def test_a_portal_that_lists_two_users_under_one_id_is_unusable() -> None:
    with pytest.raises(PortalAnswerUnusable, match="id 118"):
        Directory([ANN, BOB, a_user(118, "carl")])


@given(portals, bare_entries | column_entries)
def test_a_match_is_the_only_user_that_carries_every_filled_column(
    portal: list[PortalUser], entry: Entry
) -> None:
    """The same rule, written differently and without an index."""

    def carries(user: PortalUser) -> bool:
        columns = [fold(user.user_id), fold(user.username), fold(user.email)]
        asked = [
            (entry.bare, columns),
            (entry.user_id, columns[:1]),
            (entry.username, columns[1:2]),
            (entry.email, columns[2:]),
        ]
        return all(fold(value) and fold(value) in carried for value, carried in asked if value)

    carriers = [user for user in portal if entry.text and carries(user)]
    may_be_gone = is_user_id(fold(entry.bare)) and not any(
        user.user_id == fold(entry.bare) for user in portal
    )
    found = Directory(portal).match(entry)

    if len(carriers) == 1 and not may_be_gone:
        assert found == Match(user=carriers[0])
    else:
        assert found.user is None
        assert found.problem in {"not_found", "ambiguous", "columns_disagree"}


@given(portals, bare_entries | column_entries)
def test_the_order_of_the_portals_users_decides_nothing(
    portal: list[PortalUser], entry: Entry
) -> None:
    assert Directory(portal).match(entry) == Directory(reversed(portal)).match(entry)


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        (Entry(1, bare="118"), ["id:118"]),
        (Entry(1, bare=" Ann"), ["username:ann", "email:ann"]),
        (Entry(1, bare="0118"), ["username:0118", "email:0118"]),
        (Entry(1, user_id="118", email="A@b"), ["id:118", "email:a@b"]),
        (Entry(1, username="118"), ["username:118"]),
        (Entry(1, username="Straße"), ["username:straße", "username:strasse"]),
    ],
)
def test_a_deletion_is_looked_up_by_what_the_entry_says(entry: Entry, keys: list[str]) -> None:
    assert identity_keys(entry) == keys


def test_a_deletion_is_recorded_under_everything_the_user_was_known_by() -> None:
    assert user_keys(ANN) == ["id:118", "username:ann", "email:ann@example.com"]
    assert user_keys(a_user(118, "ann", email="")) == ["id:118", "username:ann"]
    assert user_keys(a_user(118, "Straße", email="")) == ["id:118", "username:straße"]


@given(portals, bare_entries | column_entries)
def test_an_entry_finds_the_deletion_of_the_user_it_named(
    portal: list[PortalUser], entry: Entry
) -> None:
    user = Directory(portal).match(entry).user
    if user is None:
        return
    on_record = set(user_keys(user))

    assert all(on_record & set(keys) for keys in keys_of_each_value(entry))
