"""A plain client of the API server, for tests: no cache, no retry, one connection a request.

    client = Client("127.0.0.1", 6443, context)
    client.api("POST", "/api/v1/namespaces", {"metadata": {"name": "a"}})
    client.api("GET", "/api/v1/namespaces/b", status=404)      # anything else fails
    for event in client.watch("/api/v1/namespaces/a/configmaps", resourceVersion=7):
        ...
"""

import contextlib
import http.client
import json
import urllib.parse

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class ApiError(AssertionError):
    """The API server answered something else than was expected."""

    def __init__(self, method, path, status, answer):
        message = answer.get("message", answer) if isinstance(answer, dict) else answer
        super().__init__(f"{method} {path}: {status}: {message}")
        self.status = status
        self.answer = answer


def target(path, query):
    """The path with parameters; True and False as the API server wants them."""
    if not query:
        return path
    words = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
    return path + ("&" if "?" in path else "?") + urllib.parse.urlencode(words)


class Client:
    """context: an ssl.SSLContext that trusts the server and may hold a client certificate. token: a
    function that returns the bearer token. May be used by several threads."""

    def __init__(self, host, port, context, token=None):
        self.host = host
        self.port = port
        self.context = context
        self.token = token

    def connect(self, timeout=30.0):
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)

    def headers(self, method, content_type=None):
        headers = {"Accept": "application/json", "User-Agent": "dpumesh-tests"}
        if content_type or method in ("POST", "PUT", "PATCH", "DELETE"):
            usual = MERGE_PATCH if method == "PATCH" else "application/json"
            headers["Content-Type"] = content_type or usual
        if self.token:
            headers["Authorization"] = f"Bearer {self.token()}"
        return headers

    def request(self, method, path, body=None, content_type=None, timeout=30.0):
        """(status, headers, text) of one request; body is anything that JSON can hold."""
        data = None if body is None else json.dumps(body)
        with contextlib.closing(self.connect(timeout)) as connection:
            connection.request(method, path, data, self.headers(method, content_type))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def api(self, method, path, body=None, *, status=None, content_type=None, timeout=30.0, **query):
        """The object (or text) that one request is answered with. Status: what is expected, any below
        300 when None."""
        path = target(path, query)
        got, headers, text = self.request(method, path, body, content_type, timeout)
        is_json = headers.get("Content-Type", "").startswith("application/json")
        answer = json.loads(text) if is_json else text
        if got != status and (status is not None or got >= 300):
            raise ApiError(method, path, got, answer)
        return answer

    def get(self, path, **options):
        return self.api("GET", path, **options)

    def apply(self, path, body, manager="test", force=True, **options):
        """Server-side apply."""
        options = {"fieldManager": manager, "force": force, "content_type": APPLY_PATCH, **options}
        return self.api("PATCH", path, body, **options)

    def watch(self, path, *, timeout=30.0, **query):
        """Yields events until the server ends the watch, or fails when none comes for timeout seconds."""
        path = target(path, {"watch": True, **query})
        with contextlib.closing(self.connect(timeout)) as connection:
            connection.request("GET", path, headers=self.headers("GET"))
            answer = connection.getresponse()
            if answer.status != 200:
                raise ApiError("GET", path, answer.status, answer.read().decode())
            while line := answer.readline():
                yield json.loads(line)
