"""What may be in a cell, or behind a key, that names somebody; and what is reported as not a name.

No message repeats the value.
"""

import re
from collections.abc import Mapping

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.sources.columns import (
    EMAIL,
    OTHER_ID,
    USER_ID,
    USERNAME,
    character,
    column_called,
)

_LONGEST_NAME = 320  # the longest e-mail address there can be (RFC 3696, erratum 1690)

# What systems write for nothing.
_NOTHING = frozenset(
    re.findall(
        r"\S+",
        r"""
    null \n none n/a na n.a. n.a nil #n/a #na #nv #n/d nan nat undefined - -- --- – — . .. ?
    (null) <null> [null] {null} (none) <none> [none] (empty) <empty> (blank) (leer) <unset> (unset)
    keine k.a. aucun ninguno nessuno nenhum geen brak <na> <nil> $null tbd tbc t.b.d. t.b.c.
    unknown unbekannt inconnu inconnue desconocido sconosciuto desconhecido onbekend okänd ukendt
    ukjent неизвестно 不明 未知 keiner kein leer vide vacío vuoto vazio leeg nulo nulle ninguna
    nessuna nenhuma ingen žádný nincs yok нет нд н/д なし 無 无 없음 missing empty blank void
    unassigned entfällt s/o s.o. n.v.t. n.v. nvt false true
    """,
    )
)
_NOTHING_IN_WORDS = re.compile(
    r"(?:not?|no|kein\w*|nicht|pas d[e']|sans|sin|senza|sem|zonder|geen|non|não|to be)"
    r" ?(?:available|applicable|assigned|set|found|provided|specified|known|defined|user(?:name)?"
    r"|account|e-?mail(?: address)?|login|value|vorhanden|verfügbar|bekannt|zugewiesen|konto"
    r"|benutzer|compte|adresse|correo|cuenta|asignar|usuario|account|informado|informada"
    r"|disponible|disponibile|disponível|confirmed|determined|defined|advised)"
    r"|k\. ?a\.|n\. ?a\.",
    re.IGNORECASE,
)
_SUM = (
    r"totals?|totale[ns]?|totaux|totales|totalsumme|totaal|totalt|toplam|sums?|summe|summa|somme|soma"
    r"|suma|gesamt(?:summe|ergebnis|zahl)?|teilergebnis|zwischensumme|ergebnis|insgesamt|łącznie"
    r"|razem|celkem|součet|yhteensä|összesen|i alt|antal|anzahl|aantal|count|average|mittelwert"
    r"|итого|всего|合計|小計|総計|总计|合计|小计|합계|총계"
)
_COUNTED = (
    r"rows?|row\(s\)|records?|users?|lines?|entries|items?|results?|members?|people|employees"
    r"|leavers?|accounts?|zeilen?|datensätze|datensatz|benutzer|einträge|mitarbeiter|lignes?"
    r"|utilisateurs?|enregistrements?|filas?|registros?|usuarios?|righe|record|utenti|linhas?"
    r"|rijen|gebruikers|wierszy|rader|användare|brugere"
)
_TOTAL = re.compile(
    rf"(?:grand|sub|sum|over|résultat|résultats|nombre|suma|celkový|row|user|record|no\.|nr\.?|n|#"
    rf"|{_SUM}|{_COUNTED})?[ -]?"
    rf"(?:{_SUM}|number|anzahl|nombre|n[úu]mero|numero|aantal|liczba)"
    r"(?: (?:general|général|geral|generale))?"
    rf"(?: (?:(?:of|de|der|di|van|des) )?(?:{_COUNTED}|{_SUM}))?\s*[:=]?\s*\(?\d*\)?"
    rf"|(?:{_COUNTED}|n|#)\s*[:=]\s*\d+|(?:no|nr|number)\.? of (?:{_COUNTED})\s*[:=]?\s*\d*"
    rf"|\(?\d+ (?:{_COUNTED}|{_SUM})\b[^@]*",
    re.IGNORECASE,
)

# What programs and spreadsheets make of numbers, and paths.
_CHANGED_NUMBER = re.compile(
    r"[+-]?[0-9]+(?:[.,'\u00a0\u202f ][0-9]+)+|[+-]?[0-9]+[.,]|[+-]?[0-9.,]+e[+-]?[0-9]+"
    r"|[+-][0-9]+|0x[0-9a-f]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s\\:,;@]+@\w(?:[\w.\-]*[^\W_])?")
_PATH = re.compile(r".*\.\.[/\\].*")
_MAY_BE_A_NAME = re.compile("[0-9]{1,19}")

# These, nearly all values, need none of the checks below.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,99}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,98}[A-Za-z0-9])?"
)

_QUOTES = "\"'`´‘’‚‛“”„‟«»‹›「」『』"
_NO_NAMES = (
    (
        re.compile(
            r"(?:mailto|e-?mail|acct|user|smtp|sip|xmpp|https?|tel|x500|x400|file|ldaps?):.*",
            re.IGNORECASE,
        ),
        "begins with a prefix such as mailto:. Leave only the address",
    ),
    (
        re.compile(r"[^<>]*<[^<>]*>[;,]?|.*\([^()]*@[^()]*\)"),
        "is a name and an address, as mail programs write them. Leave only the address",
    ),
    (
        re.compile(rf"[{_QUOTES}].*[{_QUOTES}]"),
        "is in quotes. Remove them",
    ),
    (
        re.compile(r"['’`].*"),
        "begins with an apostrophe, as spreadsheets mark text. Remove it",
    ),
    (
        re.compile(
            r"[•·‣◦▪●○■□►✓✔✗✘☐☑☒→].*|(?:[-–—*+>]|(?:[0-9]{1,6}|[a-z])[.)]|\[[ xX]?\])\s+\S.*"
        ),
        "begins with a bullet or a number of a list. Remove it",
    ),
    (re.compile(r"=.*"), "is a formula. Put its value there"),
    (
        re.compile(r"#(?:REF|VALUE|NAME|DIV/0|NUM|NULL|SPILL|CALC|WERT|BEZUG|VALEUR|VALOR)[!?]?.*"),
        "is a spreadsheet's error. Correct its formula",
    ),
    (re.compile(r"#.*|.*\s#.*"), "has a comment. Remove it"),
    (
        re.compile(
            r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-[0-3]\d(?:[ T].*)?)?"
            r"|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d|[^\W\d]{3,10}\.? (?:19|20)\d\d"
        ),
        "is a date. Remove it",
    ),
    (re.compile(r"[\W_]+"), "has neither a letter nor a digit. Remove it"),
    (re.compile(r"[*~_=\-]{2,}.*"), "is a decoration. Remove that line"),
    (re.compile(r".*:"), "ends with a colon, as a heading does. Remove that line"),
    (
        re.compile(r"(?:user_?(?:name|id)?|e?-?mail|login|name)\s*=.*", re.IGNORECASE),
        "is a word and its value. Leave only the value",
    ),
    (
        re.compile(r"(?:CN|OU|DC|UID|O)=.*", re.IGNORECASE),
        "is a directory's path. Export the username or the e-mail",
    ),
    (
        re.compile(r"[+\-–—*>!&^~%:,/\\].*|.*[*…=,:!?/\\]"),
        "begins or ends with a sign that is not part of a name. Remove it",
    ),
    (
        re.compile(r"[\w.\-]{1,40}=.*"),
        "is a word and its value. Leave only the value",
    ),
    (
        re.compile(r".*\S\s*[(\[][^()\[\]]*[)\]]|.*\s[-–—]\s.*"),
        "is a name and a remark. Leave only the name",
    ),
    (
        re.compile(r"(?:delete|del|remove|disable|löschen|supprimer|eliminar) \S+", re.IGNORECASE),
        "is an order and a name. Leave only the name",
    ),
    (
        re.compile(r"[\[{(<].*"),
        "begins with a bracket. Remove it",
    ),
    (
        re.compile(r"[\w .\-]{1,40}:\s+.*"),
        "is a word, a colon and a value, as YAML, LDIF and mails have them. Export the list as CSV",
    ),
)
_NEITHER = "is neither a name nor a user id, which is a whole number from 1"
_CHANGED = (
    "a spreadsheet or a script changed the number, which has a fraction, an exponent, a sign or"
    " separators. Export it again as text."
)
_SENTENCE = 4  # blanks and more
_TWO_NAMES = "has two names in one cell. Put each on its own line"


def is_nothing(value: str) -> bool:
    """Tell whether a cell is empty, or has one of the words that systems write for nothing."""
    if not value:
        return True
    if len(value) < 12 and value.lower() in _NOTHING:
        return True
    return " " in value and _NOTHING_IN_WORDS.fullmatch(value) is not None


def is_total(value: str) -> bool:
    """Tell whether a cell has the words of a total."""
    return not value.isdecimal() and _TOTAL.fullmatch(value) is not None


def read_entry(line: int, values: Mapping[str, str], where: str) -> Entry:
    """Make an entry of the cells of one row, by column; empty ones do not count.

    A sign-in name counts if there is neither username nor e-mail, an id that is not called
    `user_id` if there is a name next to it.

    Raises:
        RequestRefused: all are empty, or one is not what its column says.
    """
    given = {
        column: value for column, text in values.items() if not is_nothing(value := text.strip())
    }
    fields = {}
    for column, value in given.items():
        place = f"{where}, column {column}"
        if column == USER_ID:
            fields[USER_ID] = read_user_id(value, place)
        elif column == OTHER_ID:
            if user_id := _read_other_id(value, place):
                fields[USER_ID] = user_id
        elif column == EMAIL:
            fields[EMAIL] = read_email(value, place)
        elif column == USERNAME:
            name = read_username(value, place)
            is_address = "@" in name.strip("@") and (
                EMAIL not in given or given[EMAIL].lower() == name.lower()
            )
            fields["bare" if is_address else USERNAME] = name
        elif USERNAME not in given and EMAIL not in given:
            fields["bare"] = _read_sign_in(value, place)
    if "bare" in fields:
        fields.pop(EMAIL, None)  # the same address, called the username
    if not fields:
        is_said = any(text.strip() for column, text in values.items() if column != OTHER_ID)
        are = "says that there is no value, as NULL does" if is_said else "is empty"
        named = ", ".join(sorted(column for column in values if column != OTHER_ID))
        raise RequestRefused(f"{_capital(where)} names nobody: {named} {are}.")
    if set(fields) == {USER_ID} and OTHER_ID in given:
        raise RequestRefused(
            f"{_capital(where)} names somebody by a number alone, and its column is not spelled"
            " user_id: it may be another system's. If the numbers are the portal's, call the column"
            " user_id."
        )
    return Entry(line, **fields)


def read_user_id(value: str, where: str) -> str:
    """Return a user id, trimmed.

    Raises:
        RequestRefused: it is not one.
    """
    value = value.strip()
    if is_user_id(value):
        return value
    if _CHANGED_NUMBER.fullmatch(value) and not value.startswith("-"):
        raise RequestRefused(f"The user_id in {where} is not a user id: {_CHANGED}")
    _refuse_total("user_id", value, where)
    raise RequestRefused(
        f"The user_id in {where} is not a user id: it must be a whole number from 1. If it is"
        " another system's id, remove that column and name users by username or email."
    )


def _read_other_id(value: str, where: str) -> str:
    """Return an id of a column that may be another system's; nothing when it surely is."""
    if is_user_id(value):
        return value
    if _CHANGED_NUMBER.fullmatch(value):
        raise RequestRefused(f"The id in {where} is not a user id: {_CHANGED}")
    return ""


def read_username(value: str, where: str) -> str:
    """Return a username, trimmed.

    Raises:
        RequestRefused: it cannot be a username.
    """
    value = _read_name(value, where)
    if column_called(value):
        raise RequestRefused(f"The value in {where} is a header, not a name. Remove it.")
    return value


def read_email(value: str, where: str) -> str:
    """Return an e-mail address, trimmed.

    Raises:
        RequestRefused: it is not one.
    """
    if _PLAIN_EMAIL.fullmatch(value):
        return value
    if "@" not in value and _TOTAL.fullmatch(value):
        raise RequestRefused(
            f"The value in {where} is not an e-mail address, and may be a total. Remove that line."
        )
    value = _read_name(value, where)
    if "@" not in value.strip("@"):
        raise RequestRefused(
            f"The value in {where} is not an e-mail address: it has no @. If the column holds"
            " usernames, call it username."
        )
    if re.search(r"[\s,()<>]|[.:!?/]$", value):
        raise RequestRefused(
            f"The value in {where} is more than an e-mail address. Leave only the address."
        )
    return value


def _read_sign_in(value: str, where: str) -> str:
    if is_user_id(value):  # bare, it would count as the portal's id
        raise RequestRefused(f"The value in {where} is a number, not a sign-in name.")
    return read_username(value, where)


def read_bare(value: str, where: str) -> str:
    """Return a value that may be an id, a username or an e-mail, trimmed.

    Raises:
        RequestRefused: it is none of them.
    """
    value = value.strip()
    if value and is_nothing(value):
        raise RequestRefused(
            f"The value in {where} is a word for nothing, such as NULL, not a name. Remove it."
        )
    return _read_name(value, where)


def _read_name(value: str, where: str) -> str:
    value = value.strip()
    if not value or len(value) > _LONGEST_NAME:
        raise RequestRefused(
            f"The value in {where} is empty, or longer than {_LONGEST_NAME} characters."
        )
    if _PLAIN_EMAIL.fullmatch(value):
        return value
    if value.isdecimal() and not _MAY_BE_A_NAME.fullmatch(value):
        raise RequestRefused(
            f"The value in {where} {_NEITHER}: it has more than 19 digits, or digits other than 0"
            " to 9. Correct it."
        )
    if _CHANGED_NUMBER.fullmatch(value):
        raise RequestRefused(f"The value in {where} {_NEITHER}: {_CHANGED}")
    _refuse_total("value", value, where)
    if not _PLAIN_NAME.fullmatch(value) or value[:2] in {"19", "20"}:
        _refuse_no_name(value, where)
    return value


def _refuse_total(what: str, value: str, where: str) -> None:
    if _TOTAL.fullmatch(value) and not value.isdecimal():
        raise RequestRefused(f"The {what} in {where} may be a total, not a name. Remove that line.")


def _refuse_no_name(value: str, where: str) -> None:
    if not value.isprintable():
        position, letter = next((n, c) for n, c in enumerate(value, 1) if not c.isprintable())
        if letter in "\r\n":
            raise RequestRefused(f"The value in {where} {_TWO_NAMES}: it has a line break.")
        raise RequestRefused(
            f"The value in {where} has an invisible character: {character(letter)}, at"
            f" position {position} of {len(value)}. Remove it."
        )
    for kind, said in _NO_NAMES:
        if kind.fullmatch(value):
            raise RequestRefused(f"The value in {where} {said}.")
    if _PATH.fullmatch(value):
        raise RequestRefused(f"The value in {where} {_NEITHER}: it is a path. Remove it.")
    if value.count("@") > 1 or _two_names(value):
        raise RequestRefused(f"The value in {where} {_TWO_NAMES}.")
    if "@" in value.strip("@") and not re.search(r"\s", value) and not _ADDRESS.fullmatch(value):
        raise RequestRefused(
            f"The value in {where} is more than an e-mail address. Leave only the address."
        )
    if ("@" in value.strip("@") and re.search(r"\s", value)) or value.count(" ") >= _SENTENCE:
        raise RequestRefused(
            f"The value in {where} is a text of several words, not a name. Leave only the name."
        )


# What no name contains.
_BETWEEN_NAMES = re.compile(
    r"[;|、，；•]|<br */?>|(?<=\S)\s+(?:[/&+]|[-=]>|and|und|et|och|og|oder|or|ou)\s+(?=\S)",
    re.IGNORECASE,
)


def _two_names(value: str) -> bool:
    """Tell whether there are two names: `Doe, Jane` is one, though hardly a portal's."""
    if _BETWEEN_NAMES.search(value):
        return True
    parts = [part for part in re.split(r"[\s,/&+:·]+|->|=>", value) if part]
    return len(parts) > 1 and (
        "," in value.replace(", ", "")
        or sum(any(c.isdigit() or c == "@" for c in part) for part in parts) > 1
    )


def _capital(where: str) -> str:
    return f"{where[:1].upper()}{where[1:]}"
