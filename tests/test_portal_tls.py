"""The portal client over TLS, against a portal with a certificate of a private authority."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bulk_user_deletion.models.tokens import Token
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Transport

TOKEN = Token("version-1", "secret", issued_at=0, expires_at=2e9, user="api")


class Handler(BaseHTTPRequestHandler):
    """Answers every look, and records it."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"user": {"id": "118"}}')

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def ca_bundle(tmp_path: Path) -> Path:
    """The certificate of the private authority and of its portal."""
    return certificate(tmp_path, "company")


@pytest.fixture
def asked() -> list[str]:
    """The requests to the portal."""
    return []


@pytest.fixture
def url(ca_bundle: Path, asked: list[str]) -> Iterator[str]:
    """A portal on TLS."""
    handler = type("Remembering", (Handler,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca_bundle)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_company_s_own_authority_is_trusted_where_it_is_named(
    url: str, ca_bundle: Path, asked: list[str]
) -> None:
    answer = Portal(url, token=TOKEN, ca_bundle=str(ca_bundle)).look("118")

    assert answer.status == 200
    assert asked == ["/api/user/id/118"]


@pytest.mark.parametrize("other", ["", "another"])
def test_a_portal_without_a_trusted_certificate_gets_no_request(
    url: str, asked: list[str], tmp_path: Path, other: str
) -> None:
    ca_bundle = str(certificate(tmp_path, other)) if other else ""

    answer = Portal(url, token=TOKEN, ca_bundle=ca_bundle).look("118")

    assert answer.transport is Transport.LOST
    assert asked == []


def test_the_environment_cannot_name_another_authority(
    url: str, ca_bundle: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_bundle))

    assert Portal(url, token=TOKEN).look("118").transport is Transport.LOST
    assert asked == []
