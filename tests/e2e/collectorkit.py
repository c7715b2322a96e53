"""An OpenTelemetry collector of a few lines: takes OTLP over HTTP in JSON, checks its form, and keeps the spans.

    with Collector() as collector:
        ... tracing={"endpoint": collector.url, "ratio": 1} ...
        spans = collector.wait(6)
        spans[0].name, spans[0].parent, spans[0].attributes["url.path"]

    with Collector(lambda number: Answer(503, {"Retry-After": "1"})) as collector:   # what becomes of each POST
"""

import collections
import http.server
import json
import re
import socketserver
import threading
import time

HEX = {32: re.compile(r"[0-9a-f]{32}\Z"), 16: re.compile(r"[0-9a-f]{16}\Z")}
KINDS = {1: "internal", 2: "server", 3: "client"}

Span = collections.namedtuple("Span", "service replica trace id parent name kind begin end failed attributes")
Answer = collections.namedtuple("Answer", "status headers body delay", defaults=({}, b"{}", 0))


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


def attributes(listed):
    """{key: value} of an OTLP list of attributes; each key once."""
    found = {}
    for item in listed:
        ((kind, value),) = item["value"].items()
        assert item["key"] not in found, item
        found[item["key"]] = {"stringValue": str, "intValue": int, "doubleValue": float, "boolValue": bool}[kind](value)
    return found


def identity(text, digits):
    assert HEX[digits].match(text) and set(text) != {"0"}, text
    return text


def spans_of(body):
    """The spans of a POST; what is not as opentelemetry-proto has it fails."""
    found = []
    for resource in body["resourceSpans"]:
        about = attributes(resource["resource"]["attributes"])
        for scope in resource["scopeSpans"]:
            assert scope["scope"]["name"] == "dpumesh-agent"
            for s in scope["spans"]:
                begin, end = int(s["startTimeUnixNano"]), int(s["endTimeUnixNano"])
                assert begin <= end and abs(time.time() - begin / 1e9) < 600
                found.append(
                    Span(
                        about["service.name"],
                        about["service.instance.id"],
                        identity(s["traceId"], 32),
                        identity(s["spanId"], 16),
                        identity(s["parentSpanId"], 16) if "parentSpanId" in s else None,
                        s["name"],
                        KINDS[s["kind"]],
                        begin,
                        end,
                        s["status"].get("code") == 2,
                        attributes(s["attributes"]),
                    )
                )
    return found


class Collector:
    """behave(number of the POST, from 1) -> Answer; what it answers 2xx is kept."""

    def __init__(self, behave=None, tls=None, port=0):
        self.behave = behave or (lambda _: Answer(200))
        self.spans, self.posts, self.connections, self.problems = [], 0, 0, []
        self.times, self.paths = [], set()
        self.lock = threading.Lock()
        self.over = threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with collector.lock:
                    collector.connections += 1

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self, data)

            def log_message(self, *_):
                pass

        self.server = _Server(("127.0.0.1", port), Handler)
        self.server.handle_error = lambda *_: None  # a client that went away
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    def take(self, handler, data):
        with self.lock:
            self.posts += 1
            number = self.posts
            self.times.append(time.monotonic())
            self.paths.add(handler.path)
        try:
            assert handler.headers["Content-Type"] == "application/json"
            spans = spans_of(json.loads(data))
        except (AssertionError, KeyError, ValueError) as problem:
            self.problems.append(problem)
            raise
        answer = self.behave(number)
        if answer.delay:
            self.over.wait(answer.delay)
        if isinstance(answer.status, bytes):  # no HTTP at all
            handler.wfile.write(answer.status)
            handler.close_connection = True
            return
        if 200 <= answer.status < 300:
            with self.lock:
                self.spans.extend(spans)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        assert not self.problems, self.problems

    def wait(self, count, timeout=20):
        """The spans, once there are so many; more fail."""
        until = time.monotonic() + timeout
        while True:
            with self.lock:
                spans = list(self.spans)
            if len(spans) >= count:
                assert len(spans) == count, [(s.service, s.name) for s in spans]
                return spans
            assert time.monotonic() < until, f"{len(spans)} of {count} spans: {[(s.service, s.name) for s in spans]}"
            time.sleep(0.01)


def check_tree(spans, slack_ns=2_000_000):
    """Of one trace: one root, every other span's parent is there, and no child is outside of it. Children of calls and
    requests whose clocks are two agents' may be off by the slack."""
    assert len({s.trace for s in spans}) == 1
    by_id = {s.id: s for s in spans}
    assert len(by_id) == len(spans), "an id stands twice"
    roots = [s for s in spans if s.parent is None]
    assert len(roots) == 1, roots
    for span in spans:
        if span.parent is None:
            continue
        parent = by_id[span.parent]
        assert parent.begin - slack_ns <= span.begin and span.end <= parent.end + slack_ns, (parent, span)
        if span.kind == "server":
            assert parent.kind == "client" and parent.attributes["peer.service"] == span.service
        else:
            assert parent.service == span.service
    return roots[0]
