"""What the columns of a file, or the keys of an object, are called: the one table of headers."""

import re
from collections.abc import Iterable, Mapping, Sequence
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

# Names as `letters` has them: small, without accents, blanks and punctuation. Every column that is
# not here is ignored, `id`, `uid` and `employee id` among them: those are some other system's, and
# a number of another system may be somebody's user id here.
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
        numedeutilizator korisnickoime kullaniciadi имяпользователя логин
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
        primaryemailaddress emailprimary primarysmtpaddress windowsemailaddress internetaddress
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
        емейл メール メールアドレス eメール
        电子邮件 电子邮箱 邮箱 電子郵件 電子信箱 이메일 이메일주소
        """
    ),
    # The portal may know it as the username or as the e-mail: it is taken for either, and only in
    # a row that has neither.
    SIGN_IN: words(
        """
        login userlogin profilelogin loginid logonid signinname signinid signin userprincipalname
        upn usernameuserprincipalname azureadupn entraupn usernameoremail emailorusername
        usernameemail anmeldekennung identifiant identifiantdeconnexion iniciodesesion
        """
    ),
}

# Of somebody, but nobody's name here.
_SECOND_EMAIL = re.compile(
    "(?:alternate|alternative|alt|secondary|second|other|personal|private|home|recovery|backup"
    "|external|privat|privee|personnel|personal|particular|personale|pessoal).*(?:mail|correo"
    "|courriel)|(?:mail|mailaddress|emailadresse|correo|courriel)(?:2|3|alternate|secondary|other"
    "|personal|private|home|recovery|privat|prive|personnel|particular|personale|pessoal)"
)

# What else a header may say. Alone in a line they are no names, whoever is called so.
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
    """
)

_COLUMN_OF = {word: column for column, words in NAMES.items() for word in words}
_NO_HEADER = re.compile("[0-9@,;\t|]")  # or several

KNOWN = "user_id, username or email"


def column_called(header: str) -> str:
    """Return the column that a header's name means, or nothing."""
    if _NO_HEADER.search(header):
        return ""
    word = letters(header)
    if word not in _COLUMN_OF and word.endswith("required"):  # as Google's and Entra's templates
        word = word.removesuffix("required")
    column = _COLUMN_OF.get(word, "")
    if column == USER_ID and not is_spelled_so(header):
        return OTHER_ID
    return column


def is_spelled_so(header: str) -> bool:
    """Tell whether a header says `user_id`, in no other spelling; SQL clients put brackets on."""
    return header.strip().strip('[]"`') == USER_ID


def is_header_word(text: str) -> bool:
    """Tell whether a text is one that headers are made of, known or not."""
    word = letters(text)
    return word in _HEADER_WORDS or word in _COLUMN_OF


def is_second_email(header: str) -> bool:
    """Tell whether a header's name is that of somebody's private or second e-mail address."""
    return _SECOND_EMAIL.fullmatch(letters(header).removesuffix("address")) is not None


def columns_of(header: Sequence[str], where: str) -> dict[str, int]:
    """Return which of the portal's words stand where in a header; empty when none does.

    Raises:
        RequestRefused: two columns are the same one, or a name has what cannot be seen.
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
        if others:
            raise RequestRefused(
                f"{where} names the column {column} twice, as number {index + 1} and as number"
                f" {others[0] + 1}. Remove the one that the portal does not go by."
            )
    return {column: index for column, (index,) in found.items()}


def names_of(columns: Iterable[str]) -> list[str]:
    """Return those of the columns that may name somebody by themselves."""
    return [column for column in columns if column != OTHER_ID]


def invisible(text: str) -> str:
    """Name the first character that cannot be seen, and where; empty when there is none."""
    for position, letter in enumerate(text, start=1):
        if category(letter) in {"Cf", "Cc", "Co", "Cn"} and letter not in "\t\r\n":
            return f"{character(letter)}, as number {position}"
    return ""


def character(letter: str) -> str:
    """Name a character: what it is called, and its code."""
    called = "a tab" if letter == "\t" else name(letter, "a control character")
    return f"{called} (U+{ord(letter):04X})"
