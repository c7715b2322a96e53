#!/usr/bin/python3
"""An agent for the supervisor's tests: the same command line, inherited sockets, /readyz and drain as
dpumesh-agent, and it misbehaves on command.

Commands are words in the file $FAKE_AGENT_DIR/REPLICA (or SERVICE), read at each start:
  refuse        says so and exits with status 2
  crash         exits with status 3 at once
  unready       answers /readyz with 503 for ever
  deaf          never accepts
  ignore-term   does not drain
  drain=0.5     takes so long to drain
  chatty=N      prints N lines
On the bridge, the path /exit/N ends the process with status N, /sleep/S answers after S seconds; any
other path is answered at once. The answer's body is the replica's name.
"""

import asyncio
import json
import os
import pathlib
import signal
import socket
import sys


class Agent:
    def __init__(self, path):
        self.path = path
        self.config = json.loads(pathlib.Path(path).read_text())
        self.replica = self.config["replica"]
        self.commands = self.read_commands()
        self.in_flight = 0
        self.requests = 0
        self.draining = asyncio.Event()

    def read_commands(self):
        folder = os.environ.get("FAKE_AGENT_DIR")
        words = {}
        for name in (self.config["service"], self.replica):
            file = pathlib.Path(folder or "/nonexistent", name)
            if file.exists():
                for word in file.read_text().split():
                    key, _, value = word.partition("=")
                    words[key] = value
        return words

    async def bridge(self, reader, writer):
        self.in_flight += 1
        try:
            data = b""
            while True:
                part = await reader.read(4096)
                data += part
                try:
                    request = json.loads(data)
                    break
                except ValueError:
                    if not part:
                        return
            self.requests += 1
            words = request.get("path", "/").split("/")
            if words[1] == "exit":
                os._exit(int(words[2]))
            if words[1] == "sleep":
                print("asked to sleep", flush=True)
                await asyncio.sleep(float(words[2]))
            writer.write(
                json.dumps(
                    {"req_id": self.requests, "status": 200, "headers": {}, "body": self.replica}
                ).encode()
            )
            await writer.drain()
        finally:
            self.in_flight -= 1
            writer.close()

    async def http(self, reader, writer):
        line = await reader.readline()
        while (await reader.readline()).strip():
            pass
        page = line.split()[1].decode() if len(line.split()) > 1 else "/"
        status, body = "200 OK", "ok\n"
        if page == "/readyz" and ("unready" in self.commands or self.draining.is_set()):
            status, body = "503 Service Unavailable", "not ready\n"
        elif page == "/config":
            body = pathlib.Path(self.path).read_text()
        elif page == "/environment":
            body = json.dumps({k: v for k, v in os.environ.items() if k.startswith("LISTEN_")})
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()

    async def run(self):
        loop = asyncio.get_running_loop()
        names = os.environ["LISTEN_FDNAMES"].split(":")
        assert int(os.environ["LISTEN_PID"]) == os.getpid()
        assert int(os.environ["LISTEN_FDS"]) == len(names)
        if "ignore-term" in self.commands:
            loop.add_signal_handler(signal.SIGTERM, lambda: print("no", flush=True))
        else:
            loop.add_signal_handler(signal.SIGTERM, self.draining.set)
        servers = []
        for number, name in enumerate(names):
            if "deaf" in self.commands:
                break
            listener = socket.socket(fileno=3 + number)
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            handler = self.bridge if name == "bridge" else self.http
            servers.append(await asyncio.start_server(handler, sock=listener))
        print(f"level=info msg=started replica={self.replica}", flush=True)
        for i in range(int(self.commands.get("chatty", 0))):
            print(f"line {i:06d} of {self.replica}", flush=True)
        await self.draining.wait()
        for server in servers:
            server.close()
        while self.in_flight:
            await asyncio.sleep(0.01)
        await asyncio.sleep(float(self.commands.get("drain", 0)))
        print("level=info msg=drained", flush=True)


def main():
    assert sys.argv[1] == "--config", sys.argv
    agent = Agent(sys.argv[2])
    if "refuse" in agent.commands:
        print("agent.json: limits.requests: 0 is below 1", flush=True)
        sys.exit(2)
    if "crash" in agent.commands:
        print("about to crash", flush=True)
        sys.exit(3)
    asyncio.run(agent.run())


main()
