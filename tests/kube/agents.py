"""Agents of autoscaled DpuServices: pods get addresses on loopback of their own, where a server of the test
answers /metrics on the agents' port. What they serve is the test's to say:

    with Agents(system.client, system.namespace) as agents:
        agents.load = 300           # requests a second, shared by the ready pods
        agents.silent = {"127.77.0.3"}
"""

import http.server
import itertools
import threading
import time

from pods import Kubelet

PORT = 8080
NETWORKS = itertools.count(1)
PAGE = """\
# TYPE dpumesh_requests_total counter
dpumesh_requests_total{{protocol="bridge"}} {requests}
# TYPE dpumesh_requests_in_flight gauge
dpumesh_requests_in_flight {in_flight}
# TYPE dpumesh_queue_depth gauge
dpumesh_queue_depth{{queue="ingress_submission"}} {depth}
# TYPE dpumesh_queue_capacity gauge
dpumesh_queue_capacity{{queue="ingress_submission"}} 1024
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {cpu}
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1700000000
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, *_):
        """Quiet."""

    def do_GET(self):  # pylint: disable=invalid-name
        agents, address = self.server.agents, self.connection.getsockname()[0]
        if address in agents.silent:
            time.sleep(1)
            self.close_connection = True
            return
        body = agents.page(address).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        agents.asked += 1


class Server(http.server.ThreadingHTTPServer):
    """One agent's."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, agents, address):
        super().__init__((address, PORT), Handler)
        self.agents = agents
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def end(self):
        self.shutdown()
        self.thread.join(30)
        self.server_close()


class Agents(Kubelet):
    """A kubelet whose pods answer."""

    def __init__(self, client, namespace, load=0.0):
        self.network = next(NETWORKS)
        self.numbers = itertools.count(1)
        super().__init__(client, namespace, address=lambda pod: self.give(pod))
        self.addresses = {}  # pod's name: address
        self.counters = {}  # address: requests
        self.silent = set()
        self.asked = 0
        self.in_flight = 0.0
        self.depth = 0
        self.seconds = 0.0  # of processor, a request
        self.lock = threading.Lock()
        self.rate = load
        self.counted = time.monotonic()
        self.servers = {}  # address: its server

    def __exit__(self, *error):
        super().__exit__(*error)
        for server in self.servers.values():
            server.end()

    def give(self, pod):
        """An address of its own; a pod that is seen again before it is ready keeps it."""
        with self.lock:
            if pod["metadata"]["name"] in self.addresses:
                return self.addresses[pod["metadata"]["name"]]
            self.count_up()
            address = f"127.77.{self.network}.{next(self.numbers)}"
            self.servers[address] = Server(self, address)
            self.addresses[pod["metadata"]["name"]] = address
            self.counters[address] = 0.0
            return address

    def forget(self, name):
        """That pod is gone, and its load is the others'."""
        with self.lock:
            self.count_up()
            address = self.addresses.pop(name, "")
            self.counters.pop(address, None)
            server = self.servers.pop(address, None)
        if server:
            server.end()

    def keep(self, names):
        """All others are gone."""
        with self.lock:
            gone = set(self.addresses) - set(names)
        for name in gone:
            self.forget(name)

    def count_up(self):
        """What came since: shared by all. The lock is held."""
        now = time.monotonic()
        share = self.rate * (now - self.counted) / max(len(self.counters), 1)
        self.counted = now
        for address in self.counters:
            self.counters[address] += share

    @property
    def load(self):
        return self.rate

    @load.setter
    def load(self, rate):
        with self.lock:
            self.count_up()
            self.rate = rate

    def page(self, address):
        with self.lock:
            self.count_up()
            requests = self.counters.get(address, 0.0)
            share = max(len(self.counters), 1)
        return PAGE.format(
            requests=int(requests), in_flight=self.in_flight / share, depth=self.depth, cpu=requests * self.seconds
        )
