"""Columns next to the names that may say that somebody stays: a status, an action, a last day."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.requests import Request
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.sources.columns import letters, readings, words
from bulk_user_deletion.sources.mentions import Mentions
from bulk_user_deletion.sources.values import is_nothing

_LINES = 20


class Meaning(StrEnum):
    """What a column says about somebody."""

    STATUS = "status"  # active, terminated
    IS_THERE = "status of yes and no"  # enabled: true
    IS_GONE = "status of yes and no, the other way"  # suspended: true
    ACTION = "action"  # delete, update
    LAST_DAY = "last day"
    EXPIRY = "expiry"  # about an account: if somebody has none, it says nothing


# In these, people without a value stay if others have one.
_MARKS = {Meaning.IS_GONE, Meaning.LAST_DAY}
_YES_OR_NO = {"true", "false"}

_COLUMNS: dict[str, Meaning] = {
    word: meaning
    for meaning, names in {
        Meaning.STATUS: """
            status state userstatus accountstatus employmentstatus employeestatus workerstatus
            memberstatus statusreadonly currentstatus employmentstate accountstate lifecyclestatus
            hrstatus jobstatus signinstatus activestatus zustand beschaftigungsstatus
            statutdelemploye situacionlaboral statoutente decision reviewerdecision recommendation
            outcome entscheidung empfehlung zustand mitarbeiterstatus benutzerstatus statut etat
            estado estatus situacion stato situacao
        """,
        Meaning.IS_THERE: """
            active isactive enabled isenabled accountenabled useractive signinallowed aktiv
            currentlyactive stillactive keep retain exclude excluded exception behalten ausnahme
            garder conserver mantener conservar mantenere manter behouden
            aktiviert actif active activo activa ativo attivo actief aktywny
        """,
        Meaning.IS_GONE: """
            suspended issuspended disabled isdisabled inactive isinactive deactivated isdeactivated
            blocked isblocked blockcredential signinblocked blocksignin locked deleted isdeleted
            delete todelete tobedeleted deleteuser remove toremove tobedisabled leaver isleaver
            leaving left loschen zuloschen supprimer asupprimer eliminar borrar eliminare
            terminated isterminated archived isarchived gesperrt deaktiviert inaktiv bloque
            desactive inactif inactivo bloqueado inattivo
        """,
        Meaning.ACTION: """
            action useraction requestedaction operation change changetype event eventtype activity
            eventreason op transaction transactiontype transactiontypename jml businessprocess
            movement movementtype actiontype requesttype type aktion vorgang massnahme accion
            operacion azione actie
        """,
        Meaning.LAST_DAY: """
            lastdayinoffice lastdayofemployment terminationeffectivedate datefindecontrat
            datedefindecontrat fechabaja datafinerapporto datafinecontratto datadedesligamento
            datadesligamento datazwolnienia datazakonczenia slutdatum sistaarbetsdag sluttdato
            退職日 离职日期 퇴사일
            lastday lastdayofwork lastworkingday lastdayworked lastworkday finalday
            terminationdate termdate dateofleaving leavedate leavingdate leaveron exitdate enddate
            employmentenddate contractenddate contractend dateend effectivedate effectiveon
            separationdate departuredate offboardingdate deletiondate deactivationdate
            austrittsdatum austritt austrittam letzterarbeitstag letztertag vertragsende enddatum
            kundigungsdatum datedesortie datededepart datedefin dernierjour
            fechadebaja fechadesalida fechafin fechadecese ultimodia datadicessazione datafine
            ultimogiorno datadesaida datademissao datumuitdienst uitdiensttreding einddatum
        """,
        Meaning.EXPIRY: """
            validto validuntil expirydate expirationdate accountexpirationdate accountexpires
            expires gultigbis ablaufdatum
        """,
    }.items()
    for word in words(names)
}

# What says that somebody stays, as `letters` returns it. Any other value may be a leaver's.
_STAYS = words(
    """
    active aktiv actif activo activa ativo attivo actief aktywny enabled aktiviert true yes y 1 ja
    oui si sim wahr vrai on current employed hired present working staying stay stays remains
    provisioned staged recovery lockedout passwordexpired invited pending onleave leaveofabsence
    loa probation paid unpaidleave paidleave inservice imdienst enactivite enposte signinallowed
    x keep kept retain certify certified approve approved behalten alta fulltime parttime
    permanent regular a open allowed activeonleave activeemployee ausstehend onboarding
    prehire newhire transferred
    """
)
_GONE_NOT = words(
    """
    false no n 0 nein non falsch faux off
    """
)
_OTHER_ACTIONS = words(
    """
    add added create created new insert hire hired hiring newhire join joined joiner onboard
    onboarding rehire rehired update updated modify modified change changed edit move moved mover
    transfer transferred promote promotion demotion keep stay mover
    newjoiner newstarter starter i u hir xfr einstellung none noaction nochange
    no skip ignore retain activate activated reactivate enable enabled unlock invite invited
    leaveofabsence returnfromleave datachange payratechange import review nothing behalten anlegen
    neu andern aendern eintritt versetzung garder conserver creer embauche modifier mantener crear
    alta modificar mantenere creare assunzione modificare
    """
)


@dataclass(frozen=True, slots=True)
class Hint:
    """What a column says about the rows: how many stay, on which lines, and the latest last day.

    `column` is its number, from 1; 0 in JSON. `lines` are the first of those who stay.
    """

    meaning: Meaning
    column: int
    rows: int
    staying: int
    lines: tuple[int, ...]
    last_day: date | None = None
    last_day_line: int = 0


@dataclass(slots=True)
class _Column:
    meaning: Meaning
    number: int
    rows: int = 0
    staying: int = 0
    lines: tuple[int, ...] = ()
    blank: int = 0
    blank_lines: tuple[int, ...] = ()
    # How a date of only digits is read: the day first, or the month.
    latest: tuple[tuple[date, int] | None, tuple[date, int] | None] = (None, None)
    is_day_first: bool | None = None


def hint_columns(header: Sequence[str], named: Iterable[int]) -> list[tuple[int, str]]:
    """Return where in a header the columns are that may say something, and their names."""
    besides = set(named)
    return [
        (index, word)
        for index, name in enumerate(header)
        if name and index not in besides and (word := _meant(name)) in _COLUMNS
    ]


# What a header may say about how its dates and marks are written, and how sure they are.
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\?")


def _meant(name: str) -> str:
    """Return the name under which a header is in the table, or its letters."""
    found = [letters(name), *readings(_REMARK.sub(" ", name))]
    return next((word for word in found if word in _COLUMNS), found[0])


class Hints:
    """Collects what the columns next to the names say, in a few figures.

    With `mentions` it also collects their values: for a roster they may name who stays.
    """

    def __init__(self, mentions: Mentions | None = None) -> None:
        self.mentions = mentions
        self._columns: dict[tuple[str, int], _Column] = {}

    def see(self, line: int, word: str, index: int, value: object) -> None:
        """Take note of what the column called `word` says in a line."""
        column = self._columns.get((word, index))
        if column is None:
            column = self._columns[word, index] = _Column(_COLUMNS[word], index + 1)
        column.rows += 1
        text = value if isinstance(value, str) else str(value)
        if (
            column.meaning in _MARKS
            and is_nothing(text.strip())
            and letters(text) not in _YES_OR_NO
        ):
            column.blank += 1
            if len(column.blank_lines) < _LINES:
                column.blank_lines = (*column.blank_lines, line)
        elif column.meaning in {Meaning.LAST_DAY, Meaning.EXPIRY}:
            _see_date(column, line, text)
        elif _stays(column.meaning, text):
            column.staying += 1
            if len(column.lines) < _LINES:
                column.lines = (*column.lines, line)

    def found(self) -> tuple[Hint, ...]:
        """Return what was seen, without the columns that say nothing."""
        found = []
        for column in self._columns.values():
            if column.meaning in _MARKS and column.blank < column.rows:
                # Those who have no mark, or no last day, while others have one.
                column.staying += column.blank
                column.lines = tuple(sorted({*column.lines, *column.blank_lines})[:_LINES])
            dates = [latest for latest in column.latest if latest]
            if column.is_day_first is not None and len(dates) > 1:
                dates = [dates[0 if column.is_day_first else 1]]
            last_day, line = max(dates, default=(None, 0), key=lambda found: found[0])
            if column.staying or last_day:
                found.append(
                    Hint(
                        column.meaning,
                        column.number,
                        column.rows,
                        column.staying,
                        column.lines,
                        last_day,
                        line,
                    )
                )
        return tuple(found)


def doubts(hints: Iterable[Hint], *, today: date) -> tuple[list[str], list[str]]:
    """Return what speaks against deleting unseen, and what is only worth knowing.

    A column that says that some stay, but not others, speaks against it; so does an action
    that is not a deletion, and a last day in the future. That all are active is only worth
    knowing: lists are often made before the accounts are switched off.
    """
    against, to_know = [], []
    for hint in hints:
        column = f"Column {hint.column}" if hint.column else "A key of the file"
        if hint.last_day and hint.last_day > today:
            against.append(
                f"{column} holds last days, and one is still to come (line {hint.last_day_line})."
            )
        if not hint.staying:
            continue
        numbers = ", ".join(map(str, hint.lines)) + (", …" if hint.staying > _LINES else "")
        lines = f"line {numbers}" if hint.staying == 1 else f"lines {numbers}"
        if hint.meaning is Meaning.LAST_DAY:
            against.append(f"{column} holds last days, and some have none ({lines}).")
        elif hint.meaning is Meaning.ACTION:
            against.append(f"{column} holds actions, and some are not deletions ({lines}).")
        elif hint.staying < hint.rows:
            against.append(f"{column} holds a status, by which some are staying ({lines}).")
        else:
            to_know.append(f"{column} holds a status, by which everybody is active.")
    return against, to_know


def check_hints(hints: Iterable[Hint], request: Request, *, today: date) -> tuple[str, ...]:
    """Return what a reader of the plan should know about a file's other columns.

    Raises:
        RequestRefused: something speaks against deleting, and the run is unattended.
    """
    against, to_know = doubts(hints, today=today)
    if against and request.mode is Mode.APPLY and not request.is_attended:
        raise RequestRefused(
            f"{' '.join(against)} Nobody was deleted. Keep only those in the list who are to be"
            " deleted now, or preview it and apply that plan."
        )
    return (*against, *to_know)


def check_stayers(hints: Iterable[Hint]) -> None:
    """Refuse a roster whose other columns say that some stay, but not others.

    Raises:
        RequestRefused: naming the column.
    """
    mixed = {Meaning.STATUS, Meaning.IS_THERE, Meaning.IS_GONE, Meaning.ACTION}
    for hint in hints:
        if hint.meaning in mixed and hint.staying < hint.rows:
            column = f"Column {hint.column}" if hint.column else "A key of the file"
            raise RequestRefused(
                f"{column} of the roster holds a status, and only {hint.staying} of {hint.rows} are"
                " staying according to it. Nobody is planned, and the previous roster still counts."
                " Keep only those in the roster who stay."
            )


@lru_cache(maxsize=256)
def _stays(meaning: Meaning, text: str) -> bool:
    word = letters(text)
    match meaning:
        case Meaning.IS_GONE:
            return word in _GONE_NOT
        case Meaning.ACTION:
            return word in _OTHER_ACTIONS
        case _:
            return word in _STAYS or word.startswith(("active", "aktiv"))


_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_COMPACT = re.compile(r"((?:19|20)\d\d)([01]\d)([0-3]\d)(?:\d{6}.*)?")
_TWO_WAYS = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})\2(\d{4}|\d\d)(?:,?[T ].*)?")
_EAST = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日")
_EPOCH = re.compile(r"(?:/Date\()?(\d{10}|\d{13})(?:[+-]\d{4})?(?:\)/)?")
_WORDS = re.compile(
    r"(?:[^\W\d]+, +)?(?:(\d{1,2})[-. ]+(?:de )?)?([a-zéû]{3})[a-zéûä]*(?: de)?[-. ,]+"
    r"(?:(\d{1,2}),? +)?(\d{4}|\d\d)(?:[T ].*)?",
    re.IGNORECASE,
)
_MONTHS = {
    month: number
    for number, months in enumerate(
        [
            "jan ene",
            "feb fév fev",
            "mar mär mrz",
            "apr avr abr",
            "may mai maj mag",
            "jun jui giu",
            "jul lug",
            "aug aoû ago",
            "sep set",
            "oct okt ott out",
            "nov",
            "dec dez déc dic",
        ],
        start=1,
    )
    for month in months.split()
}
_SERIAL = re.compile(r"([2-9]\d{4})(?:\.\d+)?")
_SPREADSHEETS_EPOCH = date(1899, 12, 30)


def _see_date(column: _Column, line: int, text: str) -> None:
    day_first, month_first, is_day_first = _dates(text)
    if is_day_first is not None:
        column.is_day_first = is_day_first
    column.latest = (
        _later(column.latest[0], day_first, line),
        _later(column.latest[1], month_first, line),
    )


@lru_cache(maxsize=256)
def _dates(text: str) -> tuple[date | None, date | None, bool | None]:
    """Return a date read with the day first and with the month first, and which one it must be."""
    found = None
    if match := _EPOCH.fullmatch(text):
        found = datetime.fromtimestamp(int(match[1][:10]), UTC).date()
    elif match := _ISO.fullmatch(text) or _COMPACT.fullmatch(text) or _EAST.fullmatch(text):
        found = _date(*match.groups())
    elif match := _TWO_WAYS.fullmatch(text):
        one, sign, other, year = match.groups()
        day_first, month_first = _date(year, other, one), _date(year, one, other)
        if sign == ".":
            return day_first, day_first, None
        if day_first and month_first:
            return day_first, month_first, None
        return day_first, month_first, month_first is None if day_first or month_first else None
    elif (match := _WORDS.fullmatch(text)) and (month := _MONTHS.get(match[2].lower())):
        found = _date(match[4], str(month), match[1] or match[3] or "1")
    elif match := _SERIAL.fullmatch(text):
        found = _SPREADSHEETS_EPOCH + timedelta(days=int(match[1]))
    return found, found, None


def _later(
    before: tuple[date, int] | None, found: date | None, line: int
) -> tuple[date, int] | None:
    return (found, line) if found and (before is None or found > before[0]) else before


def _date(year: str, month: str, day: str) -> date | None:
    number = int(year) + (2000 if len(year) == 2 else 0)
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None
