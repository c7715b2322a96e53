"""Callees for the tests of real calls: a muBench cell in Python, written after contract.md, and one that misbehaves as
it is told to.

    with Cell("s1", calls={"s2": url}) as cell:
        ... cell.url ...
        assert cell.requests[0].path == "/api/v1"

    with Callee(reset) as callee:          # a function that is given each connection's socket
        ...
"""

import collections
import contextlib
import http.server
import json
import random
import socket
import socketserver
import ssl
import struct
import threading
import urllib.error
import urllib.request

PATH = "/api/v1"
TRAVEL = (
    "x-request-id x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-b3-flags x-datadog-trace-id "
    "x-datadog-parent-id x-datadog-sampling-priority x-ot-span-context grpc-trace-bin traceparent x-cloud-trace-context"
).split()

Request = collections.namedtuple("Request", "method path headers body")


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class Cell:
    """A muBench cell: answers on its path, calls its external services one after the other, and counts."""

    def __init__(self, name, calls=None, mean_kb=0.05, status=200, tls=None, address="127.0.0.1", port=0):
        self.name, self.calls, self.mean_kb, self.status = name, calls or {}, mean_kb, status
        self.requests, self.sizes, self.connections = [], [], 0
        self.clients = []  # whose certificate came with each request: its common name; with client_ca alone
        self.random = random.Random(name)
        self.lock = threading.Lock()
        cell = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with cell.lock:
                    cell.connections += 1

            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                cell.answer(self, self.rfile.read(length))

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = _Server((address, port), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://{address}:{self.port}{PATH}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def plan(self, body):
        """(callee, subtree) pairs: of the trace, or of the work model."""
        if not body:
            return [(callee, None) for callee in self.calls]
        ((key, groups),) = json.loads(body).items()
        assert key.split("__")[0] == self.name, key
        return [pair for group in groups for pair in group.items()]

    def call(self, callee, subtree, query, headers):
        url = self.calls[callee.split("__")[0]] + (f"?{query}" if query else "")
        data = None if subtree is None else json.dumps({callee: subtree}).encode()
        asked = urllib.request.Request(url, data, {**headers, **({"Content-Type": "application/json"} if data else {})})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def answer(self, handler, body):
        path, _, query = handler.path.partition("?")
        travel = {name: handler.headers[name] for name in TRAVEL if name in handler.headers}
        with self.lock:
            self.requests.append(Request(handler.command, handler.path, dict(handler.headers), body))
            self.clients.append(common_name(handler.connection))
            size = max(1, int(1000 * self.random.expovariate(1 / self.mean_kb)))
        statuses = [self.call(callee, subtree, query, travel) for callee, subtree in self.plan(body)]
        good = path == PATH and all(status == 200 for status in statuses)
        text = b"c" * size if good else json.dumps({"message": "Error in external services request"}).encode()
        with self.lock:
            self.sizes.append(size)
        handler.send_response(self.status if good else 404 if path != PATH else 500)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", str(len(text)))
        for name, value in travel.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text)


def common_name(connection):
    """The name in the certificate that a client has shown, or None."""
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return dict(pair for group in (certificate or {}).get("subject", ()) for pair in group).get("commonName")


class Callee:
    """Accepts connections and gives each to `behave(connection, number)`, in a thread."""

    def __init__(self, behave, address="127.0.0.1", port=0):
        self.behave = behave
        self.socket = socket.create_server(
            (address, port), backlog=1024, family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        self.port = self.socket.getsockname()[1]
        self.url = f"http://{f'[{address}]' if ':' in address else address}:{self.port}{PATH}"
        self.accepted = 0
        self.connections = []
        self.over = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()

    def run(self):
        threads = []
        while not self.over.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                break
            self.accepted += 1
            self.connections.append(connection)
            threads.append(threading.Thread(target=self.one, args=[connection, self.accepted]))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def one(self, connection, number):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            self.behave(connection, number)

    def wait(self, seconds=20):
        """For behaviours that stay silent: until the test is over."""
        self.over.wait(seconds)


def head(connection):
    """Reads a request's head (these have no body); False at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return False
        data += part
    return True


def say(connection, text):
    connection.sendall(text if isinstance(text, bytes) else text.encode())


def reset(connection):
    """Closes so that the peer gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def server_tls(certificate, key, client_ca=None):
    """TLS for a cell; with client_ca, only clients that show a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
