"""What a header, a title, a total and a mark mean, whatever words they are made of."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources import entries_from_file, read_file
from bulk_user_deletion.sources.columns import EMAIL, SIGN_IN, USERNAME, column_called
from bulk_user_deletion.sources.hints import doubts

TODAY = date(2026, 5, 15)


def csv_of(*rows: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def refusal(content: bytes) -> str:
    with pytest.raises(RequestRefused) as refused:
        entries_from_file(content)
    assert "example.com" not in str(refused.value)
    return str(refused.value)


# Headers

names = st.sampled_from(
    [
        ("Email", EMAIL),
        ("E-Mail", EMAIL),
        ("mail", EMAIL),
        ("User Name", USERNAME),
        ("Login", SIGN_IN),
        ("Correo electrónico", EMAIL),
        ("Adresse e-mail", EMAIL),
    ]
)
whose = st.sampled_from(
    [
        "Work",
        "Corp.",
        "Employee's",
        "Leaver",
        "(geschäftlich)",
        "dienstlich",
        "professionnelle",
        "laboral",
        "aziendale",
        "corporativo",
        "zakelijk",
        "służbowy",
        "Рабочая",
    ]
)
whose_else = st.sampled_from(
    [
        "Manager",
        "Supervisor",
        "Private",
        "Home",
        "(privat)",
        "Vorgesetzter",
        "Requester",
        "Owner",
        "Opened by",
        "actor.",
        "Second",
        "responsable",
        "Approver",
        "New",
        "Recovery",
        "Group",
    ]
)


@given(names, whose, st.booleans())
def test_words_that_say_that_it_is_the_persons_own_leave_a_column_what_it_is(
    name: tuple[str, str], word: str, above: bool
) -> None:
    called, column = name

    assert column_called(f"{word} {called}" if above else f"{called} {word}") == column


@given(names, whose_else, st.none() | whose, st.booleans())
def test_a_word_that_says_whose_else_it_is_makes_it_another_column(
    name: tuple[str, str], word: str, own: str | None, above: bool
) -> None:
    called = f"{own} {name[0]}" if own else name[0]

    assert column_called(f"{word} {called}" if above else f"{called} {word}") == ""


@pytest.mark.parametrize(
    "header",
    [
        "Benutzerprinzipalname",
        "Nom d\u2019utilisateur principal",
        "Nombre principal de usuario",
        "Nome dell'entità utente",
        "Principal-naam van gebruiker",
        "Nome UPN",
        "Główna nazwa użytkownika",
        "Användarens huvudnamn",
        "ユーザー プリンシパル名",
        "Brugerens hovednavn",
        "Käyttäjän päänimi",
        "用户主体名称",
        "사용자 계정 이름",
        "Benutzername [userPrincipalName] Erforderlich",
    ],
)
def test_microsofts_sign_in_name_is_known_in_its_languages(header: str) -> None:
    content = csv_of(["Anzeigename", header], ["Jo Doe", "a@example.com"])

    assert entries_from_file(content) == [Entry(2, bare="a@example.com")]


@pytest.mark.parametrize(
    "example", ["Beispiel: chris@x.org", "Exemple : chris@x.org", "例\uff1ac@x.org"]
)
def test_the_template_of_entra_is_read_in_any_language(example: str) -> None:
    text = f"Version:v1.0\nBenutzername [userPrincipalName]\n{example}\na@example.com\n"

    assert entries_from_file(text.encode()) == [Entry(4, bare="a@example.com")]


def test_a_technical_name_does_not_make_a_manager_the_user() -> None:
    assert column_called("Manager [userPrincipalName]") == ""


addresses = st.sampled_from(["a@example.com", "b@example.com", "A@example.com", ""])


@given(addresses, addresses)
def test_two_columns_of_one_meaning_must_say_the_same(one: str, other: str) -> None:
    table = csv_of(["mail", "SamAccountName", "EmailAddress"], [one, "user0018", other])
    document = {"mail": one or None, "userName": "user0018", "emailAddress": other}

    if one.lower() == other.lower():
        assert entries_from_file(table) == [Entry(2, username="user0018", email=one)]
        assert entries_from_file(json.dumps([document]).encode())[0].email == one
    else:
        assert "columns 1 and 3 differ" in refusal(table)
        assert "two keys that are email, and they differ" in refusal(
            json.dumps([document]).encode()
        )


# Who is meant, and who only asks


@pytest.mark.parametrize("asks", ["Who is leaving?", "User to delete", "Terminated colleague"])
@pytest.mark.parametrize("by", ["Email", "Email Address", "Username"])
def test_a_form_never_names_who_filled_it_in(asks: str, by: str) -> None:
    content = csv_of(["No.", by, asks], ["1", "hr@example.com", "a@example.com"])

    assert "another in a column that says who leaves" in refusal(content)


@pytest.mark.parametrize(
    "header",
    [
        ["Timestamp", "Email Address", "Colleague"],
        ["Horodateur", "Adresse e-mail", "Nom"],
        ["ID", "Start time", "Completion time", "Email", "Name", "Employee"],
        ["ID", "Startzeit", "Fertigstellungszeit", "E-Mail", "Name"],
    ],
)
def test_the_answers_to_a_form_name_nobody(header: list[str]) -> None:
    assert "the header of a form" in refusal(csv_of(header, ["a@example.com"] * len(header)))


@pytest.mark.parametrize("target", ["Target", "Target User", "Affected login", "Object Name"])
def test_an_audit_log_never_names_who_acted(target: str) -> None:
    assert "another in a column" in refusal(csv_of(["User Name", target], ["admin", "user0018"]))
    event = {"user_name": "admin", target.replace(" ", "_").lower(): "user0018"}
    assert "holds other people" in refusal(json.dumps([event]).encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("user_to_delete", "a@example.com"), ("leaver", "a@example.com")),
        *(("terminatedUser", "user0018"), ("offboardEmail", "a@example.com")),
        *(("requested_for", "user0018"), ("affectedUser", "user0018")),
    ],
)
def test_a_ticket_never_names_who_sent_it(key: str, value: str) -> None:
    ticket = {"email": "hr@example.com", key: value}

    assert "holds other people" in refusal(json.dumps(ticket).encode())
    assert "holds other people" in refusal(json.dumps([ticket]).encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("terminationDate", "2026-05-01"), ("reasonForLeaving", "resigned")),
        *(("leaver", "yes"), ("terminatedBy", "hr@example.com"), ("leaverEmail", "A@example.com")),
    ],
)
def test_what_else_is_said_of_a_leaver_names_nobody_else(key: str, value: str) -> None:
    content = json.dumps([{"email": "a@example.com", key: value}]).encode()

    assert entries_from_file(content) == [Entry(1, email="a@example.com")]


@pytest.mark.parametrize("beside", [{"event": "offboard"}, {"issue": {"key": "IT-1"}}, {"id": 7}])
def test_the_user_of_an_event_is_nobody_and_that_of_an_answer_is(beside: dict[str, object]) -> None:
    user = {"id": 118, "username": "user0018"}

    assert refusal(json.dumps({"user": user, **beside}).encode())
    answer = json.dumps({"user": user, "status": "ok"}).encode()
    assert entries_from_file(answer) == [Entry(1, username="user0018")]


# Titles, totals and words for nothing

title_parts = st.sampled_from(
    [
        "Leavers",
        "list",
        "of",
        "users",
        "to",
        "delete",
        "Austritte",
        "Mitarbeiter",
        "2026",
        "the",
        "Terminations",
        "report",
        "Please",
        "Thanks",
        "Hallo",
        "bajas",
        "sorties",
        "HR",
        "Keep",
    ]
)
titles = st.lists(title_parts, min_size=1, max_size=4).map(" ".join)
people = st.lists(
    st.integers(10, 99).map(lambda n: f"user00{n}"), min_size=1, max_size=5, unique=True
)


@given(titles, people, st.integers(0, 5), st.booleans())
def test_a_title_in_a_bare_list_is_nobody(
    title: str, who: list[str], at: int, are_addresses: bool
) -> None:
    lines = [f"{name}@example.com" for name in who] if are_addresses else who
    content = "\n".join([*lines[:at], title, *lines[at:]]).encode()

    try:
        found = [entry.bare for entry in entries_from_file(content)]
    except RequestRefused:
        return
    assert {*title.split()} <= {"of", "to", "the", "2026"}, "words that somebody may be called"
    assert found in ([*lines[:at], title, *lines[at:]], lines)


@pytest.mark.parametrize(
    "name", ["an", "e", "max", "lee", "will", "hans", "user.one", "jdoe", "al"]
)
def test_a_bare_list_of_names_is_read(name: str) -> None:
    assert [each.bare for each in entries_from_file(f"{name}\nuser0018\n".encode())] == [
        name,
        "user0018",
    ]


sums = st.sampled_from(
    [
        "Total",
        "Totals",
        "Total users",
        "Gesamtergebnis",
        "Summe",
        "Anzahl",
        "Total général",
        "Suma total",
        "Razem",
        "Łącznie",
        "Yhteensä",
        "Celkem",
        "Antal",
        "合計",
        "总计",
        "Итого",
        "2 Datensätze",
        "2 Benutzer",
        "Users: 2",
        "N = 2",
        "Total (2)",
        "Count: 2",
        "No. of leavers",
    ]
)


@given(sums, people, st.sampled_from(["username", "login", "email"]))
def test_a_total_is_nobody_in_any_language(total: str, who: list[str], column: str) -> None:
    names = [f"{name}@example.com" if column == "email" else name for name in who]

    assert refusal(csv_of([column, "Days"], *([name, "1"] for name in names), [total, "2"]))
    assert refusal("\n".join([*names, total]).encode())


@given(sums, people, st.booleans())
def test_a_number_beside_a_total_is_nobodys_id(total: str, who: list[str], first: bool) -> None:
    rows = [["Name", "user_id"], *(["Jo Doe", name[-2:]] for name in who), [total, "2"]]

    said = refusal(csv_of(*(row if first else row[::-1] for row in rows)))

    assert "it may be a total" in said


def test_a_row_of_numbers_below_rows_of_names_is_a_total() -> None:
    rows = [["user_id", "name", "amount"], ["118", "Jo", "3"], ["119", "Al", "4"], ["2", "", "7"]]

    assert refusal(csv_of(*rows)).startswith("Line 4 has nothing but numbers")


def test_a_word_alone_below_full_rows_is_a_heading() -> None:
    rows = [["login", "Name", "Team"], ["user0018", "Jo", "x"], ["Branch", "", ""]]

    assert "may be a heading" in refusal(csv_of(*rows))


@pytest.mark.parametrize(
    "word",
    [
        "unknown",
        "TBD",
        "unbekannt",
        "not available",
        "kein Konto",
        "sin correo",
        "k. A.",
        "n.v.t.",
        "$null",
        "<NA>",
        "False",
        "нет",
        "なし",
        "pas de compte",
        "not assigned",
    ],
)
def test_a_word_for_nothing_is_an_empty_cell(word: str) -> None:
    content = csv_of(["username", "email"], [word, "a@example.com"])

    assert entries_from_file(content) == [Entry(2, email="a@example.com")]


# Marks and dates


def said(header: str, *values: str) -> list[str]:
    rows = ([f"user00{n}", value] for n, value in enumerate(values, 10))
    return doubts(read_file(csv_of(["username", header], *rows)).hints, today=TODAY)[0]


@pytest.mark.parametrize(
    ("header", "leaves", "stays"),
    [
        *(("Delete?", "yes", "no"), ("Delete", "x", ""), ("To be deleted", "Y", "N")),
        *(("Löschen?", "ja", "nein"), ("Keep?", "no", "yes"), ("Keep", "", "x")),
        *(("Decision", "remove", "keep"), ("Leaver", "TRUE", "FALSE"), ("Behalten", "", "x")),
        *(("Beschäftigungsstatus", "Ausgetreten", "Aktiv"), ("Currently Active", "No", "Yes")),
        *(("Worker Status", "Terminated", "Active"), ("Statut de l'employé", "Parti", "Actif")),
        *(("Transaction Type", "Termination", "New Hire"), ("JML", "Leaver", "Joiner")),
        *(("Op", "D", "I"), ("Maßnahme", "Austritt", "Einstellung"), ("Terminated", "x", "")),
    ],
)
def test_a_mark_by_which_some_stay_speaks_against_it(header: str, leaves: str, stays: str) -> None:
    assert "line 3" in " ".join(said(header, leaves, stays))
    assert said(header, leaves, leaves) == []


@pytest.mark.parametrize(
    "header",
    [
        "Termination Date",
        "Last Working Day",
        "Exit Date (DD/MM/YYYY)",
        "Fecha de baja",
        "退職日",
        "Termination Effective Date",
        "Data fine rapporto",
        "Slutdatum",
        "Date de fin de contrat",
    ],
)
def test_who_has_no_last_day_beside_others_who_have_one_stays(header: str) -> None:
    assert said(header, "2026-05-01", "") == [
        "Column 2 holds last days, and some have none (line 3)."
    ]
    assert said(header, "", "") == []
    assert said(header, "2026-05-01", "2026-06-01") == [
        "Column 2 holds last days, and one is still to come (line 3)."
    ]


def test_an_account_without_an_expiry_says_nothing() -> None:
    assert said("Account Expires", "2026-05-01", "") == []
    assert said("Account Expires", "2026-05-01", "2026-06-01") != []


@pytest.mark.parametrize(
    "value",
    [
        "2026年5月16日",
        "Saturday, May 16, 2026",
        "16 de mayo de 2026",
        "1778932800000",
        "1778932800",
        "/Date(1778932800000)/",
        "16. Mai 2026",
        "16 maggio 2026",
    ],
)
def test_a_day_to_come_is_seen_however_it_is_written(value: str) -> None:
    assert said("Last Day", "2026-05-01", value) == [
        "Column 2 holds last days, and one is still to come (line 3)."
    ]


def test_in_json_null_is_no_last_day() -> None:
    users = [{"username": "a", "endDate": "2026-05-01"}, {"username": "b", "endDate": None}]

    against, _ = doubts(read_file(json.dumps(users).encode()).hints, today=TODAY)

    assert against == ["A key of the file holds last days, and some have none (line 2)."]


# What is not a list, and not a name


@pytest.mark.parametrize(
    "text",
    [
        "no rows selected",
        "No results found",
        "Keine Daten",
        "Empty set",
        "0 rows",
        "No records.",
        "Query returned no results",
        "Aucun résultat trouvé",
        "Nessun dato trovato",
    ],
)
def test_a_file_that_says_that_there_is_nobody_is_told_as_that(text: str) -> None:
    assert "says that there is nobody" in refusal(f"{text}\n".encode())


@pytest.mark.parametrize(
    "text",
    [
        "Timeout",
        "Zugriff verweigert",
        "Please log in",
        "404: Not Found",
        "psql: error: no server",
        "bash: psql: command not found",
        "ORA-00942: table or view does not exist",
    ],
)
def test_a_saved_error_is_told_as_that(text: str) -> None:
    assert "error message" in refusal(f"{text}\n".encode())


@pytest.mark.parametrize(
    "value",
    [
        "user0018@example.com#",
        "user0018@example.com?subject=x",
        "user0018@example.com:x",
        "CORP\\user0018@example.com",
        "_user0018@example.com_",
        "acct:user0018@example.com",
        "user0018@example.com…",
        "user0018、user0019",
        "jdoe and asmith",
        "user0018<br>user0019",
        "+user0018",
        "-user0018",
        "user0018*",
        "user0018 (left)",
        "user0018 - left",
        "a) user0018",
        "delete user0018",
        "user.1=user0018",
        "2026-05-01",
        "01.05.2026",
        "Mai 2026",
        "✔ user0018",
    ],
)
def test_what_has_more_than_a_name_is_no_name(value: str) -> None:
    assert refusal(csv_of(["login", "x"], [value, "y"]))
    assert refusal(csv_of(["user0001"], [value]))


@pytest.mark.parametrize(
    "value",
    ["a_b#EXT#@corp.example.com", "o'brien@example.com", "müller@exämple.com", "a+b@c-d.org"],
)
def test_an_address_with_other_signs_is_read(value: str) -> None:
    assert entries_from_file(csv_of(["upn", "x"], [value, "y"])) == [Entry(2, bare=value)]
