"""A node that is a few threads of the test: it takes the pods that a function wants, runs their container's
command as a process of this machine, tells the API server how that fares, and gives it the process's output as
a kubelet gives a container's log.

    with fakenode.Node(cluster, "ns", programs={"/usr/bin/dpumesh": path}) as made:
        ...     # pods of the namespace run, one container each

A pod that is deleted gets SIGTERM, and is gone when its process has ended.
"""

import http.server
import json
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.parse

import pods
from client import ApiError


# What a kubelet gives each container of every namespace, whatever enableServiceLinks says.
SERVICES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def expand(text, spec):
    """As a kubelet does it: $(NAME) of the container's environment, $$ for $; what is neither stays."""
    variables = SERVICES | {one["name"]: one.get("value", "") for one in spec.get("env", [])}

    def replace(found):
        return "$" if found[1] is None else variables.get(found[1], found[0])

    return re.sub(r"\$(?:\$|\(([^)]*)\))", replace, text)


class Run:
    """A pod's process and its output so far."""

    def __init__(self, command):
        self.command = command
        self.output = b""
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.status = None
        self.terminated = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while part := self.process.stdout.read1(65536):
            with self.changed:
                self.output += part
                self.changed.notify_all()
        status = self.process.wait()
        with self.changed:
            self.status = status if status >= 0 else 128 - status
            self.changed.notify_all()

    def follow(self):
        """Yields its output until it has ended."""
        sent = 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda sent=sent: len(self.output) > sent or self.status is not None)
                part = self.output[sent:]
            if not part:
                return
            sent += len(part)
            yield part


class Kubelet(http.server.BaseHTTPRequestHandler):
    """Answers GET /containerLogs/NAMESPACE/POD/CONTAINER."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        words = url.path.strip("/").split("/")
        run = self.server.node.runs.get(words[2]) if words[0] == "containerLogs" else None
        if run is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for part in run.follow():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
                if self.server.node.breaks > 0:
                    self.server.node.breaks -= 1
                    self.close_connection = True
                    return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Node:
    def __init__(self, cluster, namespace, programs, name="node-1"):
        self.cluster = cluster
        self.client = cluster.client
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.programs = programs
        self.name = name
        self.runs = {}
        self.seen = {}  # {name: the pod as it was first seen}
        self.ending = threading.Event()
        self.error = None
        self.breaks = 0  # so many times a log breaks off after what there is of it

    def __enter__(self):
        pair = self.cluster.authorities[0].issue(f"kubelet-{self.name}", hosts=["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
        self.server.daemon_threads = True
        self.server.node = self
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client.api("POST", "/api/v1/nodes", {"metadata": {"name": self.name}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.server.server_address[1]}},
        }
        self.client.api("PATCH", f"/api/v1/nodes/{self.name}/status", {"status": status})
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join(30)
        for run in self.runs.values():
            if run.status is None:
                run.process.kill()
        self.server.shutdown()
        self.server.server_close()
        self.client.api("DELETE", f"/api/v1/nodes/{self.name}")
        if self.error and kind is None:
            raise self.error

    def work(self):
        try:
            while not self.ending.is_set():
                for pod in self.client.get(self.path)["items"]:
                    self.look(pod)
                time.sleep(0.1)
        except Exception as error:  # pylint: disable=broad-except  # told when the context is left
            self.error = error

    def look(self, pod):
        name = pod["metadata"]["name"]
        run = self.runs.get(name)
        if run is None and "deletionTimestamp" not in pod["metadata"]:
            self.start(pod)
        elif run is not None and not run.terminated:
            if run.status is not None:
                self.tell_end(pod, run)
            elif "deletionTimestamp" in pod["metadata"]:
                run.process.send_signal(signal.SIGTERM)
        elif "deletionTimestamp" in pod["metadata"]:
            self.forget(pod)

    def start(self, pod):
        name = pod["metadata"]["name"]
        self.seen[name] = pod
        target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
        self.client.api("POST", f"{self.path}/{name}/binding", {"metadata": {"name": name}, "target": target})
        (spec,) = pod["spec"]["containers"]
        command = [expand(word, spec) for word in (*spec.get("command", []), *spec.get("args", []))]
        self.runs[name] = Run([self.programs.get(command[0], command[0]), *command[1:]])
        state = {"running": {"startedAt": pods.now()}}
        self.patch(pod, {"phase": "Running", "containerStatuses": pods.containers(pod, True, state)})

    def tell_end(self, pod, run):
        reason = "Completed" if run.status == 0 else "Error"
        ended = {"exitCode": run.status, "reason": reason, "startedAt": pods.now(), "finishedAt": pods.now()}
        phase = "Succeeded" if run.status == 0 else "Failed"
        status = {"phase": phase, "containerStatuses": pods.containers(pod, False, {"terminated": ended})}
        self.patch(pod, status)
        run.terminated = True

    def patch(self, pod, status):
        try:
            pods.patch_status(self.client, pod, status)
        except ApiError as error:
            if error.status != 404:
                raise

    def forget(self, pod):
        """As a kubelet does it once all has ended."""
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        status, _, text = self.client.request("DELETE", f"{self.path}/{pod['metadata']['name']}", body)
        assert status in (200, 404, 409), json.loads(text)
