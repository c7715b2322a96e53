"""What runs in a world (world.py): prepares its mounts and network, starts a node (node.py), and runs a command with
KUBECONFIG set, or waits for Ctrl-C.

    inside.py [--bare] [COMMAND [ARGUMENT]...]

--bare: no node; for tests that start one themselves.
"""

import os
import pathlib
import signal
import subprocess
import sys

import place

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kube"))

from node import Node, SlowNode  # noqa: E402


def say(node):
    print(f"export KUBECONFIG={node.kubeconfig}", flush=True)
    print(
        f"# {node.url}; kubectl is {node.programs['kubectl']}\n"
        f"# NodePorts answer on {node.host}; ./dev node bash gives a shell in which they do on 127.0.0.1 too, with ctr\n"
        "# Ctrl-C takes it down",
        file=sys.stderr,
        flush=True,
    )


def run(command, environment):
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except FileNotFoundError:
        print(f"./dev node: {command[0]}: no such program", file=sys.stderr)
        return 127


def main():
    arguments = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        place.prepare()
        if arguments[:1] == ["--bare"]:
            return run(arguments[1:], dict(os.environ))
        with Node() as node:
            if arguments:
                path = str(pathlib.Path(node.programs["kubectl"]).parent) + ":" + os.environ["PATH"]
                return run(arguments, {**os.environ, "KUBECONFIG": str(node.kubeconfig), "PATH": path})
            say(node)
            while True:
                signal.pause()
    except (SlowNode, place.NoPlace) as error:
        print(f"./dev node: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
