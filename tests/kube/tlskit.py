"""A TLS server and a client of lib/kube, for tests of what they say to each other before any request.

    with TlsServer(authority.issue("server", hosts=["127.0.0.1"])) as server:
        with Asker(kubeconfig(folder, server, authority.certificate)) as asker:
            assert asker.get("/version")["status"] == 200
        assert server.requests[0].user == "alice"

The server knows no Kubernetes: it answers everything with a JSON object. HTTP/1.1, or just as much HTTP/2
as one request after the other needs. Each connection has a thread."""

import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
from typing import NamedTuple

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", TOP / "build" / "asan" / "bin"))
BODY = b'{"kind": "Version"}'


class Request(NamedTuple):
    connection: int
    user: str  # common name of the client's certificate; "" without one
    name: str  # of the server, as the client asked for it in the handshake; "" for an address
    protocol: str  # "h2" or "http/1.1"
    head: str  # of HTTP/1.1; "" for HTTP/2, whose is compressed


class TlsServer:
    """pair: what it presents. clients: path of the authority that clients' certificates must be of.
    protocols: what it offers in the handshake. headers: lines of each answer of HTTP/1.1."""

    def __init__(self, pair, clients=None, protocols=("http/1.1",), headers=()):
        self.clients = clients
        self.protocols = protocols
        self.headers = "".join(f"{line}\r\n" for line in headers).encode("latin-1")
        self.requests = []
        self.refused = 0  # handshakes that came to nothing
        self.open = []
        self.accepted = 0
        self.names = {}
        self.present(pair)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()
        self.thread.join(5)

    def present(self, pair):
        """Another certificate, for connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        context.set_alpn_protocols(list(self.protocols))
        context.sni_callback = lambda tls, name, _: self.names.update({tls.fileno(): name})
        if self.clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.clients)
        self.context = context

    def hang_up(self):
        """Ends all connections."""
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def listen(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.serve, args=(connection, self.accepted), daemon=True).start()

    def serve(self, plain, number):
        connection = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.open.append(connection)
        with connection, contextlib.suppress(OSError):
            try:
                connection.do_handshake()
            except OSError:
                self.refused += 1
                # The alert must be read before it is overtaken by the reset for what we leave unread.
                socket.socket.shutdown(connection, socket.SHUT_WR)
                while socket.socket.recv(connection, 1 << 16):
                    pass
                return
            subject = dict(part[0] for part in (connection.getpeercert() or {}).get("subject", ()))
            name = self.names.pop(connection.fileno(), None) or ""
            protocol = connection.selected_alpn_protocol() or "http/1.1"
            said = Request(number, subject.get("commonName", ""), name, protocol, "")
            (self.serve_2 if protocol == "h2" else self.serve_1)(connection.makefile("rwb"), said)

    def serve_1(self, stream, said):
        while True:
            lines = []
            while (line := stream.readline()) not in (b"\r\n", b""):
                lines.append(line.decode("latin-1"))
            if not lines:
                return
            self.requests.append(said._replace(head="".join(lines)))
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self.headers)
            stream.write(b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            stream.flush()

    def serve_2(self, stream, said):
        """RFC 9113: frames of a 3-byte length, type, flags and stream."""

        def send(kind, flags, number, payload=b""):
            stream.write(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload)

        assert stream.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        send(4, 0, 0)  # our SETTINGS: none
        stream.flush()
        while len(head := stream.read(9)) == 9:
            payload = stream.read(int.from_bytes(head[:3], "big"))
            kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind in (4, 6) and not flags & 1:
                send(kind, 1, 0, payload if kind == 6 else b"")  # what was set is taken; PING
            elif kind == 1:
                self.requests.append(said)
                send(1, 4, number, b"\x88")  # HEADERS: ":status: 200" of the static table
                send(0, 1, number, BODY)  # DATA, the last
            stream.flush()


def kubeconfig(folder, server, authority=None, user=None, **cluster):
    """Writes one; the path. cluster: further fields, with _ for -."""
    fields = {"server": server if isinstance(server, str) else server.url}
    if authority:
        fields["certificate-authority"] = str(authority)
    fields.update({name.replace("_", "-"): value for name, value in cluster.items()})
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": fields}],
                "users": [{"name": "u", "user": user or {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


class Asker:
    """asker.c as a child process; it must leave well, without a word from a sanitizer."""

    def __init__(self, config, **environment):
        program = BIN.parent / "tests" / "kube" / "kube_asker"
        assert program.exists(), f"{program} is missing; build it, or set DPUMESH_BIN_DIR"
        proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
        kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
        kept["ASAN_OPTIONS"] = "exitcode=99:" + os.environ.get("ASAN_OPTIONS", "")
        self.process = subprocess.Popen(
            [program, config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**kept, **environment}
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        status = self.process.wait(20)
        self.process.stdout.close()
        assert kind or status == 0

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def get(self, path="/version"):
        return self.ask("GET", path)

    def post(self, path, body):
        return self.ask("POST", path, json.dumps(body))

    def works(self):
        answer = self.get()
        assert answer["status"] == 200, answer["message"]
        return True


class ConnectProxy:
    """An HTTP proxy that knows CONNECT alone. heads: what it was asked for, request line and headers.
    refuse: an answer's status line instead of a tunnel."""

    def __init__(self, refuse=None):
        self.refuse = refuse
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def listen(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.heads.append(head.decode("latin-1"))
            if self.refuse:
                client.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % self.refuse.encode())
                return
            host, port = head.split(b" ")[1].rsplit(b":", 1)
            with socket.create_connection((host.decode(), int(port))) as server:
                # A warning of the proxy's own, which is not the API server's.
                client.sendall(b'HTTP/1.1 200 Connected\r\nWarning: 299 - "of the proxy"\r\n\r\n')
                back = threading.Thread(target=self.pass_on, args=(server, client), daemon=True)
                back.start()
                self.pass_on(client, server)
                back.join(5)

    @staticmethod
    def pass_on(source, target):
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
