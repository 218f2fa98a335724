"""What the columns of a file, or the keys of an object, are called: the one table of headers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from unicodedata import category, combining, name, normalize

from bulk_user_deletion.errors import RequestRefused

_NOT_ALNUM = re.compile("[^a-z0-9]+")


@lru_cache(maxsize=256)
def _without_accents(text: str) -> str:
    text = normalize("NFKD", text.casefold())
    return "".join(c for c in text if not combining(c) and c.isalnum())


def letters(text: str) -> str:
    """Return the small letters and the digits of a header's name, without accents."""
    if text.isascii():
        return _NOT_ALNUM.sub("", text.lower())
    return _without_accents(text[:100])


def words(text: str) -> frozenset[str]:
    """Return the words of a text, for a table of what `letters` returns."""
    return frozenset(map(letters, text.split()))


USER_ID = "user_id"
USERNAME = "username"
EMAIL = "email"
SIGN_IN = "login"
OTHER_ID = "user id"  # not spelled user_id

# Names as `letters` returns them: lower case, without accents, blanks and punctuation. Every
# column that is not here is ignored, including `id`, `uid` and `employee id`: those belong to
# another system, whose number may be somebody's user id here.
NAMES: Mapping[str, frozenset[str]] = {
    USER_ID: frozenset({"userid"}),
    USERNAME: words(
        """
        username useraccountname accountname samaccountname loginname logonname userlogonname
        windowsusername networkusername adusername ldapusername domainusername portalusername
        benutzername anmeldename benutzerkennung kontoname nomdutilisateur nomutilisateur
        nomdecompte identifiantutilisateur nombredeusuario nombreusuario nombredecuenta nomeutente
        nomedeusuario nomedoutilizador nomedeutilizador nomeusuario gebruikersnaam inlognaam
        anvandarnamn brugernavn brukernavn kayttajanimi kayttajatunnus nazwauzytkownika
        uzivatelskejmeno uzivatelskemeno pouzivatelskemeno felhasznalonev numeutilizator
        numedeutilizator korisnickoime kullaniciadi kullan\u0131c\u0131ad\u0131
        имяпользователя логин nutzername
        nomedousuario nomedoutilizador naamgebruiker networklogin ntlogin
        ユーザー名 ユーザ名 用户名 使用者名稱 用戶名
        사용자이름 사용자명
        """
    ),
    EMAIL: words(
        """
        email emailaddress mail mailaddress emailid mailid emailaddr workemail workemailaddress
        emailwork emailaddresswork workmail companyemail companyemailaddress companymail
        corporateemail corporateemailaddress businessemail businessemailaddress businessmail
        officeemail officialemail officialemailid organizationemail professionalemail primaryemail
        primaryemailaddress primarysmtpaddress windowsemailaddress internetaddress
        useremail useremailaddress usermail employeeemail employeeemailaddress workeremail
        memberemail accountemail profileemail profileemailaddress emailadresse mailadresse
        geschaftlicheemail geschaftlicheemailadresse dienstlicheemail dienstlicheemailadresse
        firmenemail adressemail adresseemail adressedemessagerie adressedecourriel
        adresseelectronique adressecourriel courriel emailprofessionnel mailprofessionnel
        adresseemailprofessionnelle courrielprofessionnel correo correoelectronico
        direcciondecorreo direcciondecorreoelectronico direccionemail correocorporativo
        correodetrabajo emailcorporativo indirizzoemail indirizzomail indirizzodiposta
        indirizzodipostaelettronica postaelettronica emailaziendale enderecodeemail enderecoemail
        correioeletronico enderecodecorreioeletronico emailadres emailadressen mailadres
        zakelijkemail werkemail epost epostadress epostadresse mejladress sahkoposti
        sahkopostiosoite adresemail adrespocztyelektronicznej emailovaadresa emailcim
        adresadeemail adresaemail eposta epostaadresi почта электроннаяпочта адресэлектроннойпочты
        емейл элпочта メール メールアドレス eメール eメールアドレス 電子メール 電子メールアドレス
        会社メール 会社メールアドレス 社員メール 社内メール 勤務先メール
        电子邮件 电子邮件地址 电子邮箱
        邮箱 邮箱地址 工作邮箱 企业邮箱 公司邮箱 電子郵件 電子郵件地址 電子信箱 이메일 이메일주소
        회사이메일 elektronickaposta emailcime emailadress smtpaddress smtpadresse loginemail
        emailinformationemailaddress
        """
    ),
    # The portal may know it as the username or as the e-mail: it counts as either, but only in a
    # row that has neither.
    SIGN_IN: words(
        """
        login userlogin profilelogin loginid logonid signinname signinid signin userprincipalname
        upn usernameuserprincipalname azureadupn entraupn usernameoremail emailorusername
        usernameemail anmeldekennung identifiant identifiantdeconnexion iniciodesesion
        nombredeiniciodesesion benutzerprinzipalname benutzerprinzipalnameupn
        nomdutilisateurprincipal nomprincipaldelutilisateur nomprincipaldutilisateur
        nombreprincipaldeusuario nombreprincipaldelusuario nomedellentitautente nomeentitautente
        nomeprincipaleutente principalnaamvangebruiker userprincipalnaam nomeupn
        nomeprincipaldousuario nomeprincipaldoutilizador głównanazwaużytkownika
        användarenshuvudnamn användarhuvudnamn brugerenshovednavn brugerhovednavn brukerhovednavn
        käyttäjänpäänimi hlavnínázevuživatele kullan\u0131c\u0131as\u0131lad\u0131
        userprincipalnameupn
        ユーザープリンシパル名 用户主体名称 使用者主體名稱 사용자계정이름 사용자주체이름
        имяучастникапользователя memberobjectidoruserprincipalname memberobjectidorupn ログインid
        """
    ),
}

# These say whose name or address it is, and it is still that of the person the row is about. Any
# other word next to a name makes it another one: a manager's, a private one.
_WHOSE = words(
    """
    work corporate corp company business office official organization organisation professional
    employee employees worker workers member staff person leaver leavers leaving
    departing terminated workspace google atlassian slack okta windows ad ldap portal sys u
    information geschaftlich geschaftliche dienstlich dienstliche dienstl firmen arbeit mitarbeiter
    mitarbeiters ausscheidender ausscheidenden professionnel professionnelle pro travail employe
    salarie laboral corporativo corporativa trabajo profesional empresa empleado aziendale lavoro
    dipendente profissional trabalho funcionario zakelijk zakelijke werk medewerker służbowy
    służbowa jobb arbete arbejde työ iş рабочая рабочий рабочей корпоративная
    required erforderlich requis obligatoire requerido obligatorio obbligatorio obrigatorio
    verplicht wymagane of the s de du des del della do da di der van d l
    """
)
_WHOSE_USER = _WHOSE | words("user users account benutzer utilisateur usuario utente gebruiker")
_WORDS = re.compile(r"[^\W_]+")
_CAMEL = re.compile("(?<=[a-z])(?=[A-Z])")
_BRACKETS = re.compile(r"(.*\S)\s*\[([^\[\]]+)\](.*)")

# About somebody, but not a name here.
_SECOND_EMAIL = re.compile(
    "(?:alternate|alternative|alt|secondary|second|other|personal|private|home|recovery|backup"
    "|external|privat|privee|personnel|personal|particular|personale|pessoal).*(?:mail|correo"
    "|courriel)|(?:mail|mailaddress|emailadresse|correo|courriel)(?:2|3|alternate|secondary|other"
    "|personal|private|home|recovery|privat|prive|personnel|particular|personale|pessoal)"
)

# What else a header may say. Alone in a line they are not names, even if somebody has that name.
_HEADER_WORDS = words(
    """
    user users guest guests name names account accounts member members employee employees worker
    workers person persons people leaver leavers staff contractor contractors customer client
    owner contact contacts identifier identity principal subject profile id ids uid uids userids
    guid key number no nr usernames logins emails mails emailaddresses fullname displayname
    firstname lastname givenname surname familyname middlename initials commonname cn displayname
    title jobtitle department dept division team group groups role roles manager supervisor
    company organization organisation location country city phone mobile status state type
    usertype action date comment comments note notes remark remarks reason description value
    column field employeeid employeenumber employeename employeeno personid personnelnumber
    staffid workerid accountid objectid useraccount useraccounts userfullname terminated
    terminatedusers benutzer nutzer anwender gast gaste konto konten mitarbeiter mitarbeiterin
    mitglied vorname nachname familienname personalnummer abteilung bemerkung kommentar austritt
    kennung utilisateur utilisateurs usager invite compte comptes employe employes salarie
    salaries nom prenom nomcomplet matricule personne membre service statut usuario usuarios
    invitado cuenta cuentas empleado empleados nombre nombres apellido apellidos persona miembro
    departamento estado utente utenti ospite conto dipendente dipendenti nome cognome nominativo
    matricola reparto stato utilizador utilizadores conta contas convidado funcionario
    funcionarios apelido sobrenome gebruiker gebruikers gast account medewerker medewerkers naam
    voornaam achternaam anvandare konto gast namn fornamn efternamn anstalld bruger brugere bruker
    brukere navn fornavn efternavn etternavn medarbejder medarbeider kayttaja nimi tili uzytkownik
    uzytkownicy imie nazwisko pracownik gosc uzivatel uzivatele jmeno prijmeni host felhasznalo
    nev vendeg utilizator nume prenume kullanici soyad korisnik ime prezime пользователь имя
    фамилия гость сотрудник ユーザー 名前 氏名 用户 姓名 用戶 사용자 이름
    sam alias nickname mailnickname handle nick uname usr acct mailbox mailboxes postfach item items
    inputobject output result results data sheet resource requester approver agent agents student
    students teacher kuerzel kurzel personal network domain ldap
    """
)
# What titles, headings and greetings are made of: a line of nothing else is not a name.
_FILLERS = words(
    """
    a an and as at by for from in is me of on our the these this to with your am and das de der des
    die fur gli im la las los o oder os para pour te und van vom von y zu zum zur e et i da del di
    do du le les à aux
    """
)
_TITLE_WORDS = words(
    """
    below following list lists please who hi hello dear thanks thank regards best kind cheers
    sincerely sheet1 tabelle1 column1 spalte1 feuil1 hoja1 foglio1 f1 field1 gid ntid nt ad nm
    screen wer
    delete deleted deletion deletions remove removed removal terminate termination terminations
    deactivate deactivated deactivation disable disabled inactive offboard offboarding
    departure departures departing departed exit exits leave leaving left keep kept exclude excluded
    exceptions not report generated exported export created printed end eof footer trailer header
    confidential internal page average sales marketing finance hr it legal engineering operations
    bitte folgende folgenden alle aus hallo
    danke gruß grüße gruss grusse liebe viele mfg liste löschen zulöschen loeschen gelöscht abgang
    abgänge austritte ausgeschieden ausgeschiedene ausgetreten kündigung kündigungen behalten
    bericht erstellt ende seite vertraulich intern stand vertrieb einkauf personalabteilung wer
    mitarbeiterliste benutzerliste userlist
    supprimer suppression sorties sortie départ départs partants garder merci
    bonjour cordialement fin confidentiel qui rapport généré
    eliminar borrar bajas baja salidas conservar gracias hola saludos fin informe
    quien confidencial
    lista elenco eliminare cancellare uscite uscita cessati cessazioni grazie ciao saluti
    fine riservato chi
    excluir desligados desligamentos saídas obrigado fim
    verwijderen uitdienst vertrokken einde lijst vertrouwelijk bedankt groeten
    koniec lista slut lista avslutade
    """
)
_TITLE_PARTS = (_HEADER_WORDS | _TITLE_WORDS) - _FILLERS

_COLUMN_OF = {word: column for column, words in NAMES.items() for word in words}
_NO_HEADER = re.compile("[0-9@,;\t|]")  # or several

KNOWN = "user_id, username or email"


def column_called(header: str) -> str:
    """Return the column that a header's name means, or nothing.

    A technical name in brackets decides, below a readable one that means a column as well.
    """
    if _NO_HEADER.search(header):
        return ""
    if match := _BRACKETS.fullmatch(header.strip()):
        readable, technical, mark = match.groups()
        if column_called(f"{readable} {mark}") and (column := column_called(technical)):
            return column
    column = next((_COLUMN_OF[word] for word in readings(header) if word in _COLUMN_OF), "")
    if column == USER_ID and not is_spelled_so(header):
        return OTHER_ID
    return column


def readings(header: str) -> Iterator[str]:
    """Yield the ways to read a header's name, for a table of what `letters` returns.

    As it is, and without the words that say whose it is: `Employee's primary e-mail (work)`.
    """
    yield letters(header)
    if header.isalnum() and header.islower():
        return  # one word
    found = [letters(word) for word in _WORDS.findall(_CAMEL.sub(" ", header[:100]))]
    found = [word for word, before in zip(found, ["", *found], strict=False) if word != before]
    if len(found) > 1:
        for whose in (_WHOSE, _WHOSE_USER):
            yield "".join(word for word in found if word not in whose)


def is_spelled_so(header: str) -> bool:
    """Tell whether a header says `user_id`, in no other spelling; SQL clients put brackets on."""
    return header.strip().strip('[]"`') == USER_ID


def is_header_word(text: str) -> bool:
    """Tell whether a text is one that headers are made of, known or not."""
    word = letters(text)
    return word in _HEADER_WORDS or word in _COLUMN_OF


def is_title(text: str) -> bool:
    """Tell whether a text is made only of words from headers, titles and greetings."""
    if "@" in text:
        return False
    word = letters(text)
    if word in _TITLE_PARTS or word in _COLUMN_OF:
        return True
    if text.isalnum():
        return False  # one word
    parts = [letters(part) for part in _WORDS.findall(text[:100])]
    said = [part for part in parts if part in _TITLE_PARTS or part in _COLUMN_OF]
    return bool(said) and all(
        part in said or part in _FILLERS or (part.isdecimal() and len(part) < 5) for part in parts
    )


def is_second_email(header: str) -> bool:
    """Tell whether a header's name is that of somebody's private or second e-mail address."""
    return _SECOND_EMAIL.fullmatch(letters(header).removesuffix("address")) is not None


# Words of headers and keys that say whom a ticket or a form is about: `User to delete`.
_ABOUT = re.compile(
    "leav(?:er|ing)|terminat|offboard|depart(?:ed|ing|er)|exiting|todelete|todeactivate|toremove"
    "|deleted?user|deprovision|requestedfor|onbehalf|affected|target|objectname|ausscheid"
    "|ausgeschieden|verlasst|sortant|colleague|collaborat"
)
_NOT_WHOM = re.compile("date|day|time|reason|type|status|by$|byemail|department|manager|supervisor")


# Below these is a name, not a yes or no.
_NAME_BELOW = re.compile("user|mail|login|account|employee|name|target|for$")

# What forms write first, or when they were filled in: their e-mail is that of who did it.
_FORM_FIRST = words(
    """
    timestamp zeitstempel horodateur marcatemporal informazionicronologiche carimbodedatahora
    tijdstempel sygnaturaczasowa submittedat submissiondate submissiontime タイムスタンプ
    """
)
_FORM_LAST = words(
    """
    completiontime fertigstellungszeit heuredefin horadefinalizacion oradicompletamento
    horadeconclusao voltooiingstijd
    """
)


def is_of_a_form(header: Sequence[str]) -> bool:
    """Tell whether a header is that of the answers to a form."""
    return letters(header[0]) in _FORM_FIRST or any(letters(name) in _FORM_LAST for name in header)


def names_another(header: str, value: str, own: Iterable[str]) -> bool:
    """Tell whether a value under a leaver's header names another than `own`, in lower case."""
    value = value.strip()
    is_name = "@" in value or (" " not in value and _NAME_BELOW.search(letters(header)) is not None)
    return bool(value) and is_name and value.lower() not in own


def is_about_a_leaver(header: str) -> bool:
    """Tell whether a header that is no column says that a leaver is named below it."""
    word = letters(header)
    return (
        _ABOUT.search(word) is not None and not _NOT_WHOM.search(word) and not column_called(header)
    )


def twins(header: Sequence[str], columns: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the columns that are in a header a second time, by another name, and where."""
    return [
        (column, index)
        for index, name in enumerate(header)
        if (column := column_called(name)) in columns and columns[column] != index
    ]


def columns_of(header: Sequence[str], where: str) -> dict[str, int]:
    """Return which of the portal's words are where in a header; empty if none is.

    A column may be there under several names, as `EmailAddress` and `mail`: the first counts, and
    the `twins` must say the same.

    Raises:
        RequestRefused: two columns have the same name, or a name has an invisible character.
    """
    found: dict[str, list[int]] = {}
    for index, text in enumerate(header):
        if text and (column := column_called(text)):
            found.setdefault(column, []).append(index)
    if len(found.get(SIGN_IN, ())) > 1 and (USERNAME in found or EMAIL in found):
        del found[SIGN_IN]
    if ids := found.get(OTHER_ID, []):
        found[USER_ID if USER_ID in found else OTHER_ID] = [*found.pop(USER_ID, []), *ids]
        if len(found.get(USER_ID, ())) > 1:
            del found[OTHER_ID]
    for column, (index, *others) in found.items():
        if unseen := invisible(header[index]):
            raise RequestRefused(
                f"{where} has an invisible character in the name of column {index + 1}: {unseen}."
                " Remove it."
            )
        spelled = {letters(header[at]) for at in (index, *others)}
        if others and (column in {USER_ID, OTHER_ID} or len(spelled) <= len(others)):
            raise RequestRefused(
                f"{where} names the column {column} twice, as columns {index + 1} and"
                f" {others[0] + 1}. Remove the one that the portal does not go by."
            )
    return {column: index for column, (index, *_) in found.items()}


def names_of(columns: Iterable[str]) -> list[str]:
    """Return those of the columns that may name somebody by themselves."""
    return [column for column in columns if column != OTHER_ID]


def invisible(text: str) -> str:
    """Name the first invisible character, and where it is; empty if there is none."""
    for position, letter in enumerate(text, start=1):
        if category(letter) in {"Cf", "Cc", "Co", "Cn"} and letter not in "\t\r\n":
            return f"{character(letter)}, at position {position}"
    return ""


def character(letter: str) -> str:
    """Name a character: what it is called, and its code."""
    called = "a tab" if letter == "\t" else name(letter, "a control character")
    return f"{called} (U+{ord(letter):04X})"
