"""An application in local mode whose agents somebody looks at, and its clients.

    with Application(folder, [dpu_service("s0")]) as application:
        application.ask("s0", "--concurrency", "4", "--duration", "60s")     # dpumesh load, until the end
        application.ask_badly()
        application.targets                                                  # for Prometheus' http_sd_configs
"""

import json
import os
import re
import socket
import subprocess
import threading

import yaml

import specs
from operatorkit import fetch


class Application:
    """`dpumesh up` at host, by default a loopback address of its own. Clients end with it."""

    def __init__(self, folder, documents, host=None):
        self.program = specs.BIN / "dpumesh"
        self.host = host or f"127.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}.1"
        self.file = folder / "app.yaml"
        self.file.write_text(yaml.safe_dump_all(documents))
        self.environment = {"XDG_RUNTIME_DIR": str(folder), "PATH": "/usr/bin:/bin"}
        self.process = self.targets = self.asker = None
        self.loads, self.over = [], threading.Event()

    def start(self, *words, **options):
        return subprocess.Popen([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL, text=True, **options)

    def __enter__(self):
        self.process = self.start("up", "-f", self.file, "--address", self.host, stdout=subprocess.PIPE)
        for line in self.process.stdout:
            if line.startswith("metrics:"):
                self.targets = re.search(r"targets: (\S+)", line)[1]
                break
        assert self.targets, "dpumesh up did not start"
        done = self.start("ps", "--json", stdout=subprocess.PIPE).communicate(timeout=20)[0]
        self.services = {one["name"]: one for one in json.loads(done)["applications"][0]["services"]}
        return self

    def __exit__(self, *_):
        self.over.set()
        for load in self.loads:
            load.kill()
            load.wait()
        if self.asker:
            self.asker.join()
        self.process.terminate()
        assert self.process.wait(40) == 0

    def ask(self, service, *words, http=False):
        """`dpumesh load` with these words; the process."""
        one = self.services[service]
        url = one["http"][0] if http else f"tcp://{one['bridge'][0]}"
        load = self.start("load", url, *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.loads.append(load)
        return load

    def ask_badly(self):
        """From here on, requests that are refused, to each service."""

        def run():
            addresses = [one["bridge"][0].rsplit(":", 1) for one in self.services.values()]
            while not self.over.wait(0.1):
                for host, port in addresses:
                    for text in (b"[]", b'{"path": "/no"}'):
                        with socket.create_connection((host, int(port)), timeout=20) as client:
                            client.sendall(text)
                            client.recv(4096)

        self.asker = threading.Thread(target=run)
        self.asker.start()

    def page(self, service, path="/metrics"):
        """A page of its first replica."""
        return fetch(self.services[service]["replicas"][0]["admin"] + path)
