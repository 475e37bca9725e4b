"""Issuers of access tokens on loopback, and credentials for them that open nothing."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_SECRET = "canary-client-secret-0123456789"
GITHUB_TOKEN = "gho_canarygithubtoken0123456789"
REFRESH_TOKEN = "1//canary-refresh-token-0123456789"


class Issuer:
    """What came, and what is answered: (status, body) by path, or `otherwise`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.url = ""

    def answer(self, path: str, body: Any, status: int = 200) -> None:
        self.answers[path] = (status, body)


@contextmanager
def issuer(tls: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """Plain HTTP unless it is given a server's TLS."""
    made = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            made.requests.append((self.command, self.path, dict(self.headers), body))
            time.sleep(made.delay)
            status, answer = made.answers.get(self.path, (404, {"error": "not here"}))
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(data)), **made.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def moved(login: Any, url: str) -> Any:
    """The same way to sign in, at an issuer of our own."""
    if hasattr(login, "issuer"):
        return msgspec.structs.replace(login, issuer=url)
    return msgspec.structs.replace(login, device_url=f"{url}/code", token_url=f"{url}/token")


def service_key(url: str, **more: Any) -> str:
    """SAP's service key, in the spelling of the real ones."""
    fields = {"clientid": "sb-client!b1", "clientsecret": CLIENT_SECRET, "url": url}
    return json.dumps({**fields, "serviceurls": {"AI_API_URL": "https://api.ai.example"}, **more})


def split_values(url: str) -> str:
    """The same as the import joins SAP's split variables."""
    return json.dumps({"client_id": "sb-client!b1", "client_secret": CLIENT_SECRET, "token_url": url})


def service_account(token_uri: str = "https://oauth2.googleapis.com/token", **more: Any) -> str:
    """A key file of Google's, with a private key made just now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    fields = {"type": "service_account", "project_id": "p", "private_key_id": "kid-1", "private_key": pem}
    fields |= {"client_email": "robot@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_uri}
    return json.dumps({**fields, **more}, indent=2)


def authorized_user(**more: Any) -> str:
    """What `gcloud auth application-default login` writes."""
    fields = {"type": "authorized_user", "client_id": "cid.apps.example", "client_secret": CLIENT_SECRET}
    return json.dumps({**fields, "refresh_token": REFRESH_TOKEN, **more})
