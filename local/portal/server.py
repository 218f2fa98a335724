"""The portal's HTTP server."""

import socket
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.portal.answers import Answer
from local.portal.faults import Fault

_HUGE = 500 * 2**20

# Takes a method, a target, a token and a body; no answer means that the connection is cut.
Handle = Callable[[str, str, str, bytes], tuple[Answer | None, Fault | None]]


def http_server(handle: Handle, date: Callable[[], str], port: int) -> ThreadingHTTPServer:
    """Return a server, not yet serving; `date` is the header of each answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer, fault = handle(self.command, self.path, self.headers.get("token", ""), body)
            if answer is None:
                self._cut()
                return
            self.send_response_only(answer.status)
            self.send_header("Date", date())
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Type", answer.content_type)
            if fault is Fault.HUGE_BODY:
                self._send_huge_body()
                return
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if fault is Fault.TRUNCATED_200:
                self.wfile.write(answer.body[: len(answer.body) // 2])
                self._cut()
                return
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

        def _send_huge_body(self) -> None:
            self.send_header("Content-Length", str(_HUGE))
            self.end_headers()
            self.close_connection = True
            try:
                for _ in range(_HUGE // 2**16):
                    self.wfile.write(b" " * 2**16)
            except OSError:  # the client has closed the connection
                pass

        def _cut(self) -> None:
            """Close the connection with a reset."""
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing: the portal logs its requests itself."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore clients that closed the connection: that is not our error."""

    return Server(("127.0.0.1", port), Handler)
