#!/usr/bin/python3
"""An agent that does nothing but count, so that a test of `dpumesh compare` knows what it must print: each
request costs exactly COST[mode] of each counter. It takes newline frames on its bridge and serves /readyz
and /metrics; the command line and inherited sockets are dpumesh-agent's.

The file $FAKE_AGENT_DIR/SERVICE may hold words: busy (the gauge of a busy host is 1 while a request was
answered less than 2 s ago), fail=N (every Nth request is answered 500), bare (a page without a data path's
families, as of an agent of another version)."""

import asyncio
import json
import os
import pathlib
import signal
import socket
import sys
import time

# Of each request, by mode: seconds of host CPU by stage, modelled ones, busy seconds of the DPU.
COST = {
    "direct": ({"application": 100e-6, "io": 50e-6}, {}, {}),
    "sidecar": ({"application": 100e-6, "io": 50e-6, "datapath": 250e-6}, {"in": 100e-6, "out": 140e-6}, {}),
    "dpu": ({"application": 100e-6, "datapath": 20e-6}, {"in": 10e-6, "out": 6e-6, "wake": 4e-6}, {"arm": 70e-6, "dma": 30e-6}),
}  # fmt: skip
BEFORE = 1000  # requests that were counted before anybody came


class Agent:
    def __init__(self, path):
        config = json.loads(pathlib.Path(path).read_text())
        self.mode = config["datapath"]["mode"]
        file = pathlib.Path(os.environ.get("FAKE_AGENT_DIR", "/nonexistent"), config["service"])
        words = file.read_text().split() if file.exists() else []
        self.words = {word.partition("=")[0]: word.partition("=")[2] for word in words}
        self.requests = BEFORE
        self.last = 0.0
        self.draining = asyncio.Event()

    async def bridge(self, reader, writer):
        try:
            while line := await reader.readline():
                if not line.strip():
                    continue
                request = json.loads(line)
                self.requests += 1
                self.last = time.monotonic()
                fail = "fail" in self.words and self.requests % int(self.words["fail"]) == 0
                status = 500 if fail else 200
                body = {"bytes": len(line), "padding": len(request["headers"].get("x-padding", ""))}
                answer = {"req_id": self.requests, "status": status, "headers": {}, "body": json.dumps(body)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def metrics(self):
        host, modelled, dpu = COST[self.mode]
        lines = [f'dpumesh_requests_total{{protocol="bridge"}} {self.requests}']
        lines += [f'dpumesh_host_cpu_seconds_total{{stage="{key}"}} {value * self.requests!r}' for key, value in host.items()]
        if "bare" in self.words:
            return "\n".join(lines) + "\n"
        for family, label, values in (
            ("dpumesh_host_cpu_modelled_seconds_total", "station", modelled),
            ("dpumesh_dpu_busy_seconds_total", "unit", dpu),
        ):
            lines += [f'{family}{{{label}="{key}"}} {value * self.requests!r}' for key, value in values.items()]
        if self.mode == "dpu":
            for direction, count in (("in", 3), ("out", 2)):
                lines.append(f'dpumesh_dma_operations_total{{direction="{direction}"}} {count * self.requests}')
                lines.append(f'dpumesh_dma_bytes_total{{direction="{direction}"}} {1000 * count * self.requests}')
                lines.append(f'dpumesh_datapath_delay_asked_seconds_sum{{direction="{direction}"}} {50e-6 * self.requests!r}')
                lines.append(f'dpumesh_datapath_delay_asked_seconds_count{{direction="{direction}"}} {self.requests}')
                lines.append(f'dpumesh_datapath_delay_delivered_seconds_sum{{direction="{direction}"}} {60e-6 * self.requests!r}')
            lines.append(f"dpumesh_datapath_late_total {self.requests // 10}")
        busy = "busy" in self.words and self.mode == "dpu" and time.monotonic() - self.last < 2
        lines.append(f"dpumesh_datapath_host_busy {int(busy)}")
        return "\n".join(lines) + "\n"

    async def http(self, reader, writer):
        page = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        body = self.metrics() if page.startswith("/metrics") else "ok\n"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async def run(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.draining.set)
        servers = []
        for number, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":")):
            handler = self.bridge if name == "bridge" else self.http
            servers.append(await asyncio.start_server(handler, sock=socket.socket(fileno=3 + number), limit=1 << 22))
        await self.draining.wait()
        for server in servers:
            server.close()


asyncio.run(Agent(sys.argv[2]).run())
