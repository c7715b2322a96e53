"""Servers of a test: started with a log of their own, ended by process id, and ended too when the test
itself is killed.

    servers = Servers(folder)
    etcd = servers.add("etcd", ["etcd", "--data-dir", ...])
    etcd.start()
    etcd.stop()
    servers.close()
"""

import random
import signal
import socket
import subprocess
import time

# Reads "add PID" and "drop PID"; when its owner is gone, it ends what was not dropped.
KEEPER = """
declare -A pids
while read -r word pid; do
  if [ "$word" = add ]; then pids[$pid]=1; else unset "pids[$pid]"; fi
done
for pid in "${!pids[@]}"; do kill -KILL "$pid"; done
rm -rf -- "$1"
"""


def eventually(check, timeout=30.0, what=None, every=0.05):
    """Calls check until it returns something true, and returns that. What: a sentence, or a function
    that makes one."""
    until = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= until:
            said = what() if callable(what) else what
            raise AssertionError(said or f"{check.__name__} stayed {value!r} for {timeout} s")
        time.sleep(every)


def free_port():
    """A port of 127.0.0.1 that nobody listens on: below those that the kernel gives to clients, so
    that it is still free when a server starts again, and below Kubernetes' node ports."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """One program, which may be started and stopped again and again."""

    def __init__(self, name, command, log, tell):
        self.name = name
        self.command = [str(word) for word in command]
        self.log = log
        self.tell = tell
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        assert not self.alive(), f"{self.name} runs already"
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C is for the test, which then stops servers in their order.
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                start_new_session=True,
            )
        self.tell("add", self.pid)

    def stop(self, timeout=15.0):
        """SIGTERM, and SIGKILL when that is not enough."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self.gone()

    def kill(self):
        self.signal(signal.SIGKILL)
        self.gone()

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def gone(self):
        if self.process:
            self.process.wait()
            self.tell("drop", self.pid)

    def tail(self, lines=15):
        """The end of its log, for a sentence about what went wrong."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"{self.name} says:\n" + "\n".join(text.splitlines()[-lines:])


class Servers:
    """Servers and their folder; close() ends them, last one first, and removes it."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []
        self.keeper = subprocess.Popen(
            ["bash", "-c", KEEPER, "keeper", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            text=True,
            start_new_session=True,
        )

    def tell(self, word, pid):
        self.keeper.stdin.write(f"{word} {pid}\n")
        self.keeper.stdin.flush()

    def add(self, name, command):
        server = Server(name, command, self.folder / f"{name}.log", self.tell)
        self.all.append(server)
        return server

    def close(self):
        """Nothing of what they hold is needed any more, so no long good-bye."""
        for server in reversed(self.all):
            server.kill()
        self.keeper.stdin.close()
        self.keeper.wait(30)
