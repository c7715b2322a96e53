"""Calling dpumesh as people do: `kubectl dpumesh ...`."""

import os
import signal
import subprocess

import specs
from operatorkit import SANITIZER


def environment(cluster, kubeconfig=None):
    """That of a person whose PATH has kubectl and the plugin."""
    kubectl = os.path.dirname(cluster.programs["kubectl"])
    return {
        **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
        "PATH": f"{specs.BIN}:{kubectl}:{os.environ['PATH']}",
        "HOME": str(cluster.folder),
        "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
        "XDG_RUNTIME_DIR": str(cluster.folder),
    }


def run(cluster, *arguments, kubeconfig=None, timeout=90, program="kubectl"):
    """The finished process; a sanitizer must have nothing to say."""
    words = ["dpumesh", *map(str, arguments)]
    command = [program, *words] if program == "kubectl" else [program, *words[1:]]
    done = subprocess.run(
        command, env=environment(cluster, kubeconfig), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def ok(cluster, *arguments, **options):
    """What it prints; it must succeed."""
    done = run(cluster, *arguments, **options)
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout


def start(cluster, *arguments):
    """The running plugin itself, without kubectl before it, so that signals reach it."""
    command = [specs.BIN / "kubectl-dpumesh", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment(cluster), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def end(process, number=signal.SIGINT, timeout=60):
    """(status, standard output, standard error) after a signal, None: without one."""
    if number is not None:
        process.send_signal(number)
    out, err = process.communicate(timeout=timeout)
    assert not SANITIZER.search(err), err
    return process.returncode, out, err
