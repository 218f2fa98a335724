"""What is not a list of users, recognised by how it begins."""

import re

_EXPORT = "Export the list as CSV."
_PRINTED = f"The file is a table printed for people, not CSV. {_EXPORT}"
_LOOKED_AT = 4_000  # characters

# The first that matches says what the file is.
_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), said)
    for pattern, said in (
        (
            r"\A\s*<(?:!doctype html|html|head|body|table|meta|div|script|style|tr|td|p|h[1-6])\b",
            f"The file is a web page (HTML), whatever its name is. {_EXPORT}",
        ),
        (r"\A\s*<!--[^\0]*?<html", f"The file is a web page (HTML). {_EXPORT}"),
        (
            r"\A\s*(?:<\?xml[^>]*>\s*)?<Error>",
            "The file is a saved error page (XML), not a list. Export the list again.",
        ),
        (r"\A\s*<(?:\?xml|[a-z_][\w:.-]*[\s/>])", f"The file is XML. {_EXPORT}"),
        (r"\A\s*\{\\rtf", "The file is a formatted document (RTF). Save the list as CSV."),
        (
            r"\A\s*-----BEGIN PGP",
            "The file is encrypted or signed with PGP. Decrypt it, and send the list itself.",
        ),
        (r"\A\s*-----BEGIN ", "The file is a key, a certificate or encrypted (PEM). Send a list."),
        (
            r"\Aversion https://git-lfs",
            "The file is a Git LFS pointer, not the list. Send the file that it points to.",
        ),
        (
            r"\A\s*(?:(?:#[^\n]*|version: *\d+)\s+)*dn::? ",
            f"The file is LDIF. {_EXPORT}",
        ),
        (
            (
                r"\A(?:From |(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID|Subject"
                r"|From|To|Date|X-[\w-]+|Content-Type|Von|An|Betreff|De|À|Objet|Gesendet|Sent): )"
                r"[^\n]*"
                r"\n(?:[\w-]+: |\s)"
            ),
            "The file is the text of an e-mail. Send only the list.",
        ),
        (r"\ABEGIN:V(?:CARD|CALENDAR)", f"The file is a vCard or a calendar. {_EXPORT}"),
        (
            r"\A\s*(?:%YAML[^\n]*\n)?---\s*$",
            f"The file is YAML. {_EXPORT}",
        ),
        (r"\A\s*(?:#[^\n]*\n\s*)*- [\"']?[\w .-]+[\"']?:(?: |$)", f"The file is YAML. {_EXPORT}"),
        (
            r"\A\s*(?:#[^\n]*\n\s*)*[\w-]+: *\n[ \t]*- ",
            f"The file is YAML. {_EXPORT}",
        ),
        (
            (
                r"\A\s*(?:SELECT\s[^;]*\sFROM\s|INSERT INTO\s|UPDATE\s\S+\sSET\s|DELETE FROM\s"
                r"|CREATE TABLE\s)"
            ),
            f"The file is SQL. Run it, and send what it lists: {_EXPORT}",
        ),
        (
            r"\A(?:--- |\+\+\+ |@@ |diff --git )",
            "The file is a comparison (diff), not a list. Send the list itself.",
        ),
        (r"\AID;P", f"The file is SYLK. {_EXPORT}"),
        (r"\ATABLE\s+0,1\s", f"The file is DIF. {_EXPORT}"),
        (r"\A\s*\\(?:begin|document)", f"The file is LaTeX. {_EXPORT}"),
        (r"\A\s*\[\[?[\w.]+\]\]?\s*\n\s*\w+ *=", f"The file is TOML or INI. {_EXPORT}"),
        (
            r"\A\s*(?:\w{1,40} *\([^\n]|\)\]\}',?\s*\n)\s*[\[{]",
            "The file is JSON inside something else (JSONP). Save only the JSON.",
        ),
        (r"\A#!", "The file is a program, not a list. Send what it lists."),
        (
            r"\A\s*[\[{(]\s*'",
            (
                "The file is a program's own notation, not JSON: its strings are in single"
                " quotes. Export it as JSON or CSV."
            ),
        ),
        (
            (
                r"\A\s*(?:HTTP/\d|[45]\d\d [A-Z][a-z]+|access (?:is )?denied|unauthori[sz]ed"
                r"|forbidden|time(?:d )?-?out|zugriff verweigert|accès refusé|acceso denegado"
                r"|accesso negato"
                r"|please (?:log|sign) in|ORA-\d+|\w+: error|\w+: \S+: command not found"
                r"|an error occurred|\d\d\d: |service (?:is )?temporarily|bad gateway"
                r"|gateway time-?out|service unavailable"
                r"|internal server error"
                r"|(?:page )?not found|error:? |exception|traceback|session (?:has )?expired)"
                r"[^\n,;]*(?:\n[^\n]*){0,3}\s*\Z"
            ),
            "The file is a saved error message, not a list. Export the list again.",
        ),
        (
            (
                r"\A\s*(?:query returned |es wurden |there are )?(?:no|0|empty|keine?|aucune?"
                r"|nessun\w*|ning[uú]n\w*|nenhuma?|geen) (?:rows?|results?|records?|data|users?"
                r"|matches|match|entries|items|set|daten|datensätze|ergebnisse|treffer|benutzer"
                r"|résultats?|données|dat[io]|risultat\w*|datos|resultados?|dados|resultaten|gegevens)"
                r"(?: (?:selected|found|returned|available|matched|trouvée?s?|trovat\w|gefunden"
                r"|vorhanden|encontrad\w+|gevonden))*[.!]?\s*\Z"
            ),
            (
                "The file says that there is nobody: it is not a list. Check what it was exported"
                " from, and export it again."
            ),
        ),
        (
            r"\A\s*(?:\x1b\[|[┌╔┏│║┃├╭])",
            _PRINTED,
        ),
        (r"\A *\|(?:[^|\n]*\|)+ *\n *\|", _PRINTED),
    )
)

_BYTES: dict[bytes, str] = {
    b"\x1f\x8b": "The file is compressed. Unpack it first.",
    b"BZh": "The file is compressed. Unpack it first.",
    b"\xfd7zXZ": "The file is compressed. Unpack it first.",
    b"\x28\xb5\x2f\xfd": "The file is compressed. Unpack it first.",
    b"7z\xbc\xaf": "The file is an archive. Unpack it first.",
    b"Rar!": "The file is an archive. Unpack it first.",
    b"%PDF": "The file is a PDF document. Export the list as CSV.",
    b"SQLite format 3": "The file is a database. Export the list as CSV.",
    b"PAR1": "The file is Parquet. Export the list as CSV.",
    b"Obj\x01": "The file is Avro. Export the list as CSV.",
    b"\x89PNG": "The file is an image. Export the list as CSV.",
    b"\xff\xd8\xff": "The file is an image. Export the list as CSV.",
    b"GIF8": "The file is an image. Export the list as CSV.",
    b"II*\0": "The file is an image. Export the list as CSV.",
    b"MM\0*": "The file is an image. Export the list as CSV.",
    b"PK\x05\x06": "The file is an empty ZIP archive. Send the list itself.",
}
_OLE = b"\xd0\xcf\x11\xe0"


def no_list_of_bytes(content: bytes) -> str:
    """Say what a file is that is not text, and what to do; empty if that is unknown."""
    if content.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in content[:1_000_000]:
            return "The file is a workbook that is encrypted with a password. Save it without one."
        if "__nameid_version1.0".encode("utf-16-le") in content[:1_000_000]:
            return "The file is an Outlook message. Send only the list."
        return "The file is an old Excel workbook. Save it as .xlsx or 'CSV UTF-8'."
    if content[4:8] == b"ftyp" or (content.startswith(b"RIFF") and content[8:12] == b"WEBP"):
        return "The file is an image or a video. Export the list as CSV."
    if content[257:262] == b"ustar":
        return "The file is an archive. Unpack it first."
    return next((said for begin, said in _BYTES.items() if content.startswith(begin)), "")


def no_list_of_text(text: str) -> str:
    """Say what a text is that is not a list, and what to do; empty if it may be one."""
    head = text[:_LOOKED_AT]
    if said := next((said for pattern, said in _TEXTS if pattern.search(head)), ""):
        return said
    is_printed = any(
        "---" in line and not line.strip("-+|:= \t\r") for line in head.splitlines()[:20]
    )
    return _PRINTED if is_printed else ""
