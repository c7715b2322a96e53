"""The original demonstrator's story on a real node, with the operator installed either way: a namespace, its application,
node port 30005, 50 clients at once, three replicas, three times the throughput."""

import concurrent.futures
import json
import socket

import pytest
from nodekit import TOP, Space, answers, burst
from processes import eventually

PORT = 30005
CLIENTS = 50
BODY = {"s0": [{"s1": {}, "s2": {}}]}
# Calls under way at once in a replica. A request makes two, each of 50 ms: so many requests a second.
WORKERS = 8
CAPACITY = WORKERS / 0.1


def original_client(address):
    """A client as the original's README has it: one JSON object, then everything up to the close."""
    request = {
        "method": "POST", "path": "/api/v1", "headers": {"Content-Type": "application/json"},
        "body": json.dumps(BODY), "query_string": "",
    }  # fmt: skip
    with socket.create_connection((address, PORT), timeout=30) as connection:
        connection.sendall(json.dumps(request).encode())
        answer = b""
        while data := connection.recv(4096):
            answer += data
    return json.loads(answer)


def throughput(address):
    """Answers a second to 50 one-shot clients; all of them good."""
    status, result = burst(f"tcp://{address}:{PORT}", "--concurrency", CLIENTS, "--warmup", "1s", "--duration", "4s")
    assert status == 0 and result["failed"] == 0, result
    return result["rate_per_s"]


@pytest.mark.parametrize("way", ["kubectl", "helm"])
def test_the_originals_story(node, installation, way):
    if way == "helm" and installation.renderer.helm_program is None:
        pytest.skip("helm is not here; ./dev setup --kube finds or builds it, which needs Go")
    installation.ensure(way)
    space = Space(node, f"mubench-dpu-{way}")
    try:
        applied = node.run_kubectl("-n", space.name, "apply", "-f", TOP / "examples/original.yaml")
        assert applied.returncode == 0 and "Warning" not in applied.stderr, applied.stderr
        for name in ("s0", "s1", "s2"):
            space.wait_ready(name)

        for address in (node.host, "127.0.0.1"):
            target = f"tcp://{address}:{PORT}"
            eventually(lambda target=target: answers(target), 20, f"{target} does not answer")
            status, result = burst(target, "--concurrency", CLIENTS, "--requests", CLIENTS, "--body", json.dumps(BODY))
            assert status == 0 and result["status"] == {"200": CLIENTS}, result
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            told = list(pool.map(original_client, [node.host] * CLIENTS))
        assert [one["status"] for one in told] == [200] * CLIENTS
        assert {key for one in told for key in one} == {"req_id", "status", "headers", "body"}

        # A cap makes a replica's capacity countable; without it one replica answers them all.
        space.kubectl("patch", "dpu/s0", "--type=merge", "-p", json.dumps({"spec": {"egress": {"workers": WORKERS}}}))
        space.kubectl("rollout", "status", "deployment/s0-dpu", "--timeout=60s", timeout=70)
        space.scale(1, settle=30)
        eventually(lambda: len(space.pods()) == 1, 30, "the old pod stays")
        one = throughput(node.host)
        space.scale(3, settle=30)
        three = throughput(node.host)
        print(f"{one:.0f} and {three:.0f} answers a second, {three / one:.2f}x")
        assert 0.7 * CAPACITY < one <= 1.1 * CAPACITY
        assert three >= 2.5 * one
    finally:
        # The node port is for one at a time.
        space.kubectl("delete", "dpu", "--all", "--timeout=60s", timeout=70)
        node.delete_namespace(space.name)
