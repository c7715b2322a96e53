"""HTTP on 8080.

    demand                                              test
    the application's path with GET and POST, HEAD      test_the_application_answers_get_and_post, test_head
    the answer's headers                                test_the_headers_of_an_answer
    keep-alive, Connection: close, HTTP/1.0             test_keep_alive_and_close
    pipelining, answers in order                        test_pipelining_keeps_the_order
    chunked bodies                                      test_a_chunked_body
    Expect: 100-continue                                test_expect_100_continue,
                                                        test_expect_behind_a_pipelined_request
    404, 405, 413, 431, 505, 400                        test_refusals, test_a_body_over_the_cap,
                                                        test_headers_over_the_cap
    a request in any number of segments                 test_a_request_in_any_number_of_segments
    a late request: 408                                 test_a_request_that_does_not_end_in_time
    /metrics as text and OpenMetrics by Accept          test_metrics_by_accept
    of /metrics the families that a query names         test_families_by_name, test_a_query_may_be_so_long
    /healthz /readyz /config, only GET and HEAD         test_pages
    real clients (curl, Python)                         test_curl, test_python
    the hot path: pages and application on one port     test_pipelining_keeps_the_order
"""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from agentkit import PATH, TOP, balance, calls, http_request, rejected, short

JSON = "application/json"


@pytest.fixture(scope="module")
def agent(starter):
    return starter(limits={"frameBytes": 4096}, peers={"s1": {}}).wait_serving()


def sentence(response):
    assert response.headers["content-type"] == JSON
    body = json.loads(response.body)
    assert set(body) == {"message"}
    return body["message"]


def test_the_application_answers_get_and_post(agent):
    before = agent.metrics()
    answer = agent.get(PATH, "http")
    assert (answer.status, answer.phrase, answer.body) == (200, "OK", b"m")
    body = json.dumps({"s0__1": [{"s1__2": [{}]}]}).encode()
    assert agent.get(PATH, "http", "POST", body=body).status == 200
    assert agent.get(PATH, "http", "POST", body=b"").status == 200
    assert agent.get(PATH + "?bid=7", "http").status == 200
    assert agent.get("http://s0:8080" + PATH, "http").status == 200
    delta = agent.metrics() - before
    assert delta.total("dpumesh_requests_total", protocol="http") == 5
    assert delta.total("dpumesh_requests_total", protocol="bridge") == 0
    assert delta.total("dpumesh_egress_calls_total") == 1


def test_head(agent):
    answer = agent.get(PATH, "http", "HEAD")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) == 1
    with agent.http() as client:  # nothing of a body stands before the next answer
        client.raw(http_request(method="HEAD") + http_request())
        assert client.receive(head=True).status == 200
        assert client.receive().body == b"m"


def test_the_headers_of_an_answer(agent):
    answer = agent.get(PATH, "http", headers={"TraceParent": "00-1-2-01", "Cookie": "no"})
    assert set(answer.headers) == {"date", "content-type", "content-length", "traceparent"}
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["traceparent"] == "00-1-2-01"
    parsed = time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")
    assert abs(time.mktime(parsed) - time.mktime(time.gmtime())) < 60


@pytest.mark.parametrize(
    "version, connection, kept",
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Keep-Alive, Close", False),
        ("1.1", "keep-alive", True),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
        ("1.0", "close", False),
    ],
)
@pytest.mark.parametrize("target", [PATH, "/healthz"])
def test_keep_alive_and_close(agent, version, connection, kept, target):
    headers = {"Connection": connection} if connection else {}
    with agent.http() as client:
        client.raw(http_request(target, version=version, headers=headers))
        answer = client.receive()
        assert answer.status == 200
        if kept:
            assert answer.headers.get("connection") == ("keep-alive" if version == "1.0" else None)
            assert client.raw(http_request()).receive().status == 200
        else:
            assert answer.headers["connection"] == "close"
            assert client.ended()


def test_http_1_0_needs_no_host(agent):
    assert agent.get(PATH, "http", version="1.0", host=None).status == 200


def test_pipelining_keeps_the_order(start):
    """Pages of the agent's own stand between requests that take their time."""
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"distribution": "uniform", "low": "0s", "high": "30ms", "seed": 2}},
    )
    before = agent.metrics()
    targets = [(PATH, "/healthz", "/nowhere", PATH, "/config")[i % 5] for i in range(100)]
    with agent.http() as client:
        for _ in range(2):
            client.raw(
                b"".join(
                    http_request(target, headers={"x-request-id": str(i)})
                    for i, target in enumerate(targets)
                )
            )
            for i, target in enumerate(targets):
                answer = client.receive()
                assert answer.status == (404 if target == "/nowhere" else 200)
                if target == PATH:
                    assert answer.headers["x-request-id"] == str(i)
                    assert answer.body == b"m"
                if target == "/healthz":
                    assert answer.body == b"ok\n"
    balance(before, agent.metrics(), {200: 80, 404: 40})


def test_the_last_answer_before_a_close_arrives(agent):
    """What the client pipelined behind Connection: close is not answered, and harms nothing."""
    with agent.http() as client:
        client.raw(
            http_request()
            + http_request(headers={"Connection": "close"})
            + http_request("/nowhere") * 50
        )
        assert client.receive().status == 200
        last = client.receive()
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert client.ended()


def chunked(*chunks, end=b"0\r\n\r\n"):
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return http_request(method="POST", headers={"Transfer-Encoding": "chunked"}) + data


@pytest.mark.parametrize("piece", [1, 3, 10_000])
def test_a_chunked_body(agent, piece):
    body = json.dumps({"s0": [{"s1": {}}, {"s1": {}}]}).encode()
    before = agent.metrics()
    chunks = [body[at : at + 5] for at in range(0, len(body), 5)]
    trailers = b"0;last=1\r\nX-Sum: 1\r\n\r\n"
    data = chunked(*chunks) + chunked(body, end=trailers) + chunked()
    with agent.http() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), piece):
            client.raw(data[at : at + piece])
        assert [client.receive().status for _ in range(3)] == [200, 200, 200]
    assert (agent.metrics() - before).total("dpumesh_egress_calls_total") == 4


@pytest.mark.parametrize(
    "data, status",
    [
        (b"zz\r\nhello\r\n0\r\n\r\n", 400),
        (b"3\r\nhello\r\n0\r\n\r\n", 400),
        (b"-5\r\nhello\r\n0\r\n\r\n", 400),
        (b"ffffffffffffffffff\r\n", 400),
        (b"7fffffff\r\n", 413),
        (b"5" * 400, 400),
        (b"1001\r\n" + b"x" * 4097 + b"\r\n0\r\n\r\n", 413),
        (b"fff\r\n" + b"x" * 4095 + b"\r\n2\r\nxx\r\n0\r\n\r\n", 413),
    ],
    ids=short,
)
def test_a_bad_chunk(agent, data, status):
    with agent.http() as client:
        client.raw(http_request(method="POST", headers={"Transfer-Encoding": "chunked"}) + data)
        answer = client.receive()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert sentence(answer)
        client.half_close()
        assert client.ended()


def test_trailers_over_the_cap(agent):
    trailers = b"0\r\n" + b"X: y\r\n" * 3000 + b"\r\n"
    with agent.http() as client:
        client.raw(http_request(method="POST", headers={"Transfer-Encoding": "chunked"}) + trailers)
        assert client.receive().status == 431


def test_expect_100_continue(agent):
    body = b'{"s0": []}'
    head = http_request(
        method="POST", headers={"Expect": "100-continue", "Content-Length": len(body)}
    )
    with agent.http() as client:
        for _ in range(2):
            assert client.raw(head).receive().status == 100
            assert client.raw(body).receive().status == 200
        # A body that is already there needs no permission.
        assert client.raw(head + body).receive().status == 200
        too_long = http_request(
            method="POST", headers={"Expect": "100-continue", "Content-Length": 4097}
        )
        assert client.raw(too_long).receive().status == 413


def test_expect_behind_a_pipelined_request(start):
    """The permission comes after the answers that are due before it, but it comes."""
    agent = start(
        workload={"externalServices": calls(["s1"])}, egress={"latency": {"value": "30ms"}}
    )
    head = http_request(method="POST", headers={"Expect": "100-continue", "Content-Length": 2})
    with agent.http() as client:
        client.raw(http_request() + head)
        assert client.receive().status == 200
        assert client.receive().status == 100
        assert client.raw(b"{}").receive().status == 400


def test_a_request_in_any_number_of_segments(agent):
    data = http_request(method="POST", body=b'{"s0": []}') + http_request("/healthz")
    with agent.http() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            client.raw(bytes([byte]))
        assert client.receive().status == 200
        assert client.receive().body == b"ok\n"


@pytest.mark.parametrize(
    "data, status, closes",
    [
        (http_request("/nowhere"), 404, False),
        (http_request("/api/v1/"), 404, False),
        (http_request("/"), 404, False),
        (http_request(method="DELETE"), 405, False),
        (http_request(method="PUT", body=b"x"), 405, False),
        (http_request("/nowhere", method="DELETE"), 404, False),
        (http_request(method="POST", body=b"nonsense"), 400, False),
        (http_request(version="2.0"), 505, True),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, True),
        (http_request(version="0.9"), 505, True),
        (http_request(host=None), 400, True),
        (http_request(headers={"Host ": "a"}), 400, True),
        (http_request(headers={"Content-Length": "x"}), 400, True),
        (http_request(headers={"Content-Length": "-1"}), 400, True),
        (http_request(headers={"Content-Length": "1, 1"}), 400, True),
        (http_request(headers={"Content-Length": "9" * 30}), 400, True),
        (http_request(headers={"Content-Length": "5", "Transfer-Encoding": "chunked"}), 400, True),
        (http_request(headers={"Transfer-Encoding": "gzip"}), 400, True),
        (http_request(headers={"x-request-id": "a\rb"}), 400, True),
        (http_request(headers={"x-request-id": "a\x01b"}), 400, True),
        (b"GET /api/v1 HTTP/1.1\r\nHost: s0\r\nHost: s1\r\n\r\n", 400, True),
        (b"GET /api/v1 HTTP/1.1\r\nHost: s0\r\n folded: x\r\n\r\n", 400, True),
        (b"GET /api/v1 HTTP/1.1\r\nno colon\r\n\r\n", 400, True),
        (b"GET /api/v1\r\n\r\n", 400, True),
        (b"GET  HTTP/1.1\r\n\r\n", 400, True),
        (b"GET /a b HTTP/1.1\r\nHost: s0\r\n\r\n", 400, True),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, True),
        (b'{"path": "/api/v1"}\n\n', 400, True),
    ],
    ids=short,
)
def test_refusals(agent, data, status, closes):
    before = agent.metrics()
    with agent.http() as client:
        answer = client.raw(data).receive()
        assert answer.status == status
        assert sentence(answer)
        if closes:
            assert answer.headers["connection"] == "close"
            client.half_close()
            assert client.ended()
        else:
            assert client.raw(http_request()).receive().status == 200
    balance(before, agent.metrics(), {status: 1, 200: 0 if closes else 1})


def test_the_sentence_of_a_404_says_where(agent):
    assert sentence(agent.get("/nowhere", "http")) == (
        f"no such path; this service answers at {PATH}"
    )


def test_allow_says_what_would_be_right(agent):
    answer = agent.get(PATH, "http", "DELETE")
    assert answer.status == 405
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD", "POST"]
    answer = agent.get("/metrics", "http", "POST", body=b"")
    assert answer.status == 405
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD"]


def test_a_body_over_the_cap(agent):
    assert agent.get(PATH, "http", "POST", body=b"x" * 4096).status == 400  # read, and no trace
    with agent.http() as client:
        client.raw(http_request(method="POST", body=b"x" * 4097))
        answer = client.receive()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
    with agent.http() as client:  # answered before the body has come
        client.raw(http_request(method="POST", headers={"Content-Length": 10**15}))
        assert client.receive().status == 413


def test_headers_over_the_cap(agent):
    with agent.http() as client:
        client.raw(http_request(headers={"X-Long": "x" * 65536}))
        assert client.receive().status == 431
    with agent.http() as client:  # without an end
        client.raw(b"GET /api/v1 HTTP/1.1\r\nX-Long: " + b"x" * 70000)
        assert client.receive().status == 431
    with agent.http() as client:
        client.raw(http_request(headers={"traceparent": "x" * 4097}))
        assert client.receive().status == 431
    assert agent.get(PATH, "http", headers={"X-Long": "x" * 60000}).status == 200


def test_a_request_that_does_not_end_in_time(start):
    agent = start(limits={"frameTimeout": "100ms"})
    for data in (b"G", http_request()[:-1], http_request(method="POST", headers={"Content-Length": 9})):
        begun = time.monotonic()
        with agent.http() as client:
            client.raw(data)
            answer = client.receive()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert 0.1 <= time.monotonic() - begun < 9, "without frameTimeout it would take 10 s"
            assert client.ended()
    assert rejected(agent.metrics())["frame_timeout"] == 3


def test_a_cut_off_request_is_answered(agent):
    with agent.http() as client:
        client.raw(http_request()[:-3]).half_close()
        answer = client.receive()
        assert answer.status == 400
        assert sentence(answer) == "the connection ended in the middle of a request"


@pytest.mark.parametrize(
    "accept, content_type",
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            "application/openmetrics-text;q=0.2,text/plain;q=0.3",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
    ],
)
def test_metrics_by_accept(agent, accept, content_type):
    answer = agent.get("/metrics", "http", headers={"Accept": accept} if accept else {})
    assert answer.status == 200
    assert answer.headers["content-type"] == content_type
    text = answer.body.decode()
    assert text.endswith("# EOF\n") == content_type.startswith("application/")
    assert "\ndpumesh_ready 1" in text


def test_pages(agent):
    assert agent.get("/healthz", "http").body == b"ok\n"
    assert agent.get("/readyz", "http").body == b"ok\n"
    assert json.loads(agent.get("/config", "http").body)["limits"]["frameBytes"] == 4096
    for page in ("/healthz", "/readyz", "/config", "/metrics"):
        for name in ("http", "admin"):
            assert agent.get(page, name).status == 200
            head = agent.get(page, name, "HEAD")
            assert head.status == 200
            assert int(head.headers["content-length"]) > 0
        assert agent.get(page, "http", "POST", body=b"x").status == 405


@pytest.mark.parametrize("format", ["text/plain", "application/openmetrics-text"])
def test_families_by_name(agent, format):
    """A scraper that needs a few families gets no more: each reads as on the whole page."""

    def page(query=""):
        answer = agent.get("/metrics" + query, "http", headers={"Accept": format})
        assert answer.status == 200 and answer.headers["content-type"].startswith(format)
        return answer.body.decode()

    def family(text, name):
        return [line for line in text.splitlines() if re.search(rf"(^|\s){name}(_total|_bucket|_sum|_count)?[ {{]", line)]

    agent.ask()
    whole = page()
    few = page("?name[]=dpumesh_ready&name%5B%5D=mub_response_size_bucket&x=y&name[]=nobody&name[]=dpumesh_queue_capacity")
    assert family(few, "dpumesh_ready") == family(whole, "dpumesh_ready")
    assert len(family(few, "dpumesh_queue_capacity")) == 6
    # The order is the page's own.
    assert re.findall("^# TYPE (.*) ", few, re.M) == ["mub_response_size_bucket", "dpumesh_queue_capacity", "dpumesh_ready"]
    end = "# EOF\n" if "open" in format else ""
    assert few.endswith(end)
    assert page("?name[]=nobody") == page("?name[]=") == end
    assert re.findall("^# TYPE (.*) ", page("?name=nobody"), re.M) == re.findall("^# TYPE (.*) ", whole, re.M)


def test_the_query_of_the_autoscaler(agent):
    """Eight families, which are there, and little else."""
    header = (TOP / "lib" / "figures" / "figures.h").read_text()
    macro = header[header.index("AGENT_FIGURES_SCALING_QUERY") :]
    query = "".join(re.findall('"(.*)"', macro[: macro.index("/*")]))
    agent.ask()
    body = agent.get(f"/metrics?{query}", "http").body.decode()
    families = re.findall("^# TYPE (.*) ", body, re.M)
    assert len(families) == 8 and sorted(families) == sorted(re.findall("=([a-z_]+)", query))
    assert len(body) < 2500 < len(agent.get("/metrics", "http").body)


def test_a_query_may_be_so_long(agent):
    before = rejected(agent.metrics())
    with agent.http() as http:  # kept alive through all of it
        for more, status in ((0, 200), (1, 400), (1000, 400)):
            target = "/metrics?name[]=dpumesh_ready&".ljust(2048 + more, "x")
            answer = http.raw(http_request(target)).receive()
            assert answer.status == status
            assert answer.body.count(b"\n") == (3 if status == 200 else 1)
        assert http.raw(http_request("/readyz?" + "x" * 3000)).receive().status == 200
        assert http.raw(http_request("/metrics?name[]=nobody", "HEAD")).receive(head=True).status == 200
    assert rejected(agent.metrics()) == before, "pages are no requests"


def test_pages_are_not_on_the_bridge(agent):
    assert agent.ask(path="/metrics")["status"] == 404


def test_a_path_of_the_application_s_own(start):
    """workload.path wins over a page of the same name."""
    agent = start(workload={"path": "/healthz"})
    assert agent.get("/healthz", "http").body == b"m"
    assert agent.get(PATH, "http").status == 404


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(agent):
    host, port = agent.address("http")
    url = f"http://{host}:{port}{PATH}"
    form = ["-s", "-S", "-w", "%{http_code} %{num_connects}\n"]
    arguments = ["curl", *form, url, url, "-H", "traceparent: 00-1", "--max-time", "20"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
    assert done.stdout == "m200 1\nm200 0\n", done
    body = json.dumps({"s0": [{"s1": {}}] * 60})
    done = subprocess.run(
        ["curl", *form, "--data", "@-", "-H", "Expect: 100-continue", url, "--max-time", "20"],
        input=body, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == "m200 1\n", done


def test_python(agent):
    host, port = agent.address("http")
    with urllib.request.urlopen(f"http://{host}:{port}{PATH}", timeout=20) as answer:
        assert answer.read() == b"m"
    connection = http.client.HTTPConnection(host, port, timeout=20)
    for _ in range(3):
        connection.request("POST", PATH, iter([b'{"s0": ', b'[{"s1": {}}]}']), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"m")
    connection.close()
