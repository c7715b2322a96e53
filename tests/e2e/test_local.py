"""dpumesh up and its verbs, with an agent that misbehaves on command (fake_agent.py): supervision,
scaling, ports, and what is left when the supervisor is killed."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import alive, answer, ask, eventually, fetch, send


def bridge(local, service="s0"):
    return local.service(service)["bridge"][0]


def states(local, service="s0"):
    return [r["state"] for r in local.service(service)["replicas"]]


def test_up_prints_a_table_and_drains_on_interrupt(local):
    path = local.write(
        {"s0": {"replicas": 2, "workload": {"externalServices": [{"services": ["s1"]}]}}, "s1": {}}
    )
    process = local.up(path)
    base = local.address.rsplit(".", 1)[0]
    assert process.table[0].split() == ["SERVICE", "MODE", "REPLICAS", "READY", "BRIDGE", "HTTP"]
    assert process.table[1].split() == [
        "s0", "dpu", "2", "2/2", f"{base}.1:5005", f"http://{base}.1:8080/api/v1",
    ]
    assert process.table[2].split()[0:5] == ["s1", "dpu", "1", "1/1", f"{base}.2:5005"]
    assert "\033" not in "".join(process.table)

    (application,) = local.applications()
    assert application["name"] == "app"
    assert application["state"] == "running"
    assert application["pid"] == process.pid
    assert [r["name"] for r in application["services"][0]["replicas"]] == ["s0-0", "s0-1"]
    assert all(alive(pid) for pid in local.pids())
    assert ask(f"{base}.2:5005")["body"] == "s1-0"

    # Each replica answers on an admin endpoint of its own, and was given sockets and peers.
    for replica in application["services"][0]["replicas"]:
        config = json.loads(fetch(replica["admin"] + "/config"))
        assert config["replica"] == replica["name"]
        assert config["peers"]["s1"]["bridge"] == f"{base}.2:5005"
        environment = json.loads(fetch(replica["admin"] + "/environment"))
        assert environment["LISTEN_FDNAMES"] == "bridge:http:admin"
        assert environment["LISTEN_PID"] == str(replica["pid"])

    err = local.end(process)
    assert "draining 3 replicas" in err
    assert not list((local.runtime / "dpumesh").iterdir())


def test_node_ports_listen_on_the_base_address(local):
    path = local.write(
        {
            "a": {},
            "s0": {"service": {"type": "NodePort", "nodePorts": {"bridge": 30005, "http": 30080}}},
        }
    )
    local.up(path)
    assert ask(f"{local.address}:30005")["body"] == "s0-0"
    assert fetch(f"http://{local.address}:30080/api/v1") == "ok\n"
    assert local.service()["bridge"][1] == f"{local.address}:30005"


@pytest.mark.parametrize("which", ["bridge", "node port"])
def test_a_taken_port_is_one_sentence_and_nothing_starts(local, which):
    path = local.write(
        {"a": {}, "s0": {"service": {"type": "NodePort", "nodePorts": {"bridge": 30005}}}}
    )
    base = local.address.rsplit(".", 1)[0]
    taken = (f"{base}.2", 5005) if which == "bridge" else (local.address, 30005)
    with socket.create_server(taken):
        out, err = local.run(*local.up_arguments(path), status=2)
    assert out == ""
    assert err.count("\n") == 1
    assert re.search(rf"s0: bridge.*{taken[0]}:{taken[1]} is taken by .*\(pid {os.getpid()}\)", err)
    assert not local.leftovers()
    assert not list((local.runtime / "dpumesh").iterdir())


SECRET = {"secretName": "client", "caFrom": {"configMapKeyRef": {"name": "ca"}}}


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["up"], "-f FILE"),
        (["up", "-f", "{missing}"], "missing.yaml"),
        (["up", "-f", "{app}", "-r", "s9=1"], "no service s9"),
        (["up", "-f", "{app}", "-r", "s0"], "SERVICE=N"),
        (["up", "-f", "{app}", "-a", "localhost"], "IPv4"),
        (["up", "-f", "{app}", "-n", "A b"], "lower-case"),
        (["up", "-f", "{app}", "--agent", "{missing}"], "missing.yaml: No such file"),
        (["up", "-f", "{app}", "--agent", "{folder}"], "Is a directory"),
        (["up", "-f", "{app}", "--agent", "{agent}", "-a", "192.0.2.1"], "not an address of this machine"),
        (["up", "-f", "{app}", "--agent", "{agent}", "-a", "{address}", "--metrics", "nowhere"], "--metrics"),
        (["up", "-f", "{bad}"], "replicas"),
        (["up", "-f", "{secret}"], "secret.yaml:1: s0: needs Secret client and ConfigMap ca, and local mode has neither"),
        (["scale", "s0=-1"], "replicas of s0"),
        (["scale", "s0"], "SERVICE=N"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_is_status_2_with_a_sentence(local, arguments, says):
    files = {
        "{app}": local.write({"s0": {}}),
        "{bad}": local.write({"s0": {"replicas": -3}}, "bad.yaml"),
        "{secret}": local.write({"s0": {"egress": {"forward": {"tls": SECRET}}}}, "secret.yaml"),
        "{agent}": local.agent,
        "{address}": local.address,
        "{missing}": local.folder / "missing.yaml",
        "{folder}": local.folder,
    }
    _, err = local.run(*[files.get(argument, argument) for argument in arguments], status=2)
    assert says in err
    assert len(err.splitlines()) <= 3


def test_verbs_without_an_application(local):
    assert local.applications() == []
    for verb in (["scale", "s0", "2"], ["down"], ["logs"], ["apply"], ["ps", "--name", "x"]):
        _, err = local.run(*verb, status=3)
        assert "running" in err


def test_scale_up_down_to_zero_and_back(local):
    process = local.up(local.write({"s0": {}, "s1": {}}))
    address = bridge(local)
    out, _ = local.run("scale", "s0", "3")
    assert "3/3" in out
    assert states(local) == ["ready"] * 3
    pids = local.pids()
    local.run("scale", "s0=1")
    assert local.pids() == pids[:1]
    assert not alive(pids[1]) and not alive(pids[2])

    # At zero the socket stays: a connection waits for the next replica.
    local.run("scale", "s0", "0")
    assert local.pids() == []
    waiting = socket.create_connection((address.rsplit(":", 1)[0], 5005), timeout=10)
    waiting.sendall(b'{"path":"/x"}')
    local.run("scale", "s0=2", "s1=2")
    assert json.loads(waiting.recv(4096))["status"] == 200
    waiting.close()
    assert states(local) == states(local, "s1") == ["ready"] * 2

    _, err = local.run("scale", "s9", "1", status=2)
    assert "no service s9" in err and "s0, s1" in err
    local.end(process)


def test_scale_down_answers_what_is_in_flight(local):
    local.up(local.write({"s0": {"replicas": 1}}))
    address = bridge(local)
    client = send(address, "/sleep/2")
    eventually(lambda: "asked to sleep" in local.run("logs", "s0")[0])
    local.run("scale", "s0", "0")
    assert answer(client)["body"] == "s0-0"


def test_scale_without_waiting_and_superseded(local):
    local.up(local.write({"s0": {}}))
    local.command("s0", "unready")
    waiter = local.popen("scale", "s0", "3")
    eventually(lambda: local.service()["desired"] == 3)
    out, _ = local.run("scale", "s0", "2", "--no-wait")
    assert "1/2" in out
    _, err = waiter.communicate(timeout=20)
    assert waiter.returncode == 1 and "scaled to 2 meanwhile" in err
    assert states(local)[:2] == ["ready", "starting"]
    _, err = local.run("scale", "s0", "2", "--timeout", "300ms", status=1)
    assert "no answer in time" in err and "s0-1 is in state starting" in err and "s0-0" not in err


def test_scale_says_why_it_is_not_so_in_time(local):
    local.up(local.write({"s0": {}}))
    local.command("s0", "crash")
    local.run("scale", "s0", "2", "--no-wait")
    eventually(lambda: local.service()["restarts"] > 0)
    _, err = local.run("scale", "s0", "2", "--timeout", "300ms", status=1)
    assert re.search(r"s0-1 is in state (starting|backoff); last end: exit status 3\n", err), err


def test_many_may_wait_for_a_scale(local):
    """As in a script that scales each of many services in the background: the others are heard."""
    local.up(local.write({"s0": {}}))
    local.command("s0-1", "unready")
    (application,) = local.applications()
    folder = os.open(application["runDirectory"], os.O_RDONLY)  # its name may be longer than a socket's
    waiting = []
    for _ in range(60):
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].connect(f"/proc/self/fd/{folder}/control.sock")
        waiting[-1].sendall(b'{"verb": "scale", "service": "s0", "replicas": 2, "wait": true}\n')
    assert local.service()["desired"] == 2
    local.run("scale", "s0", "1")
    for client in waiting:
        assert "scaled to 1 meanwhile" in client.makefile().read()
        client.close()
    os.close(folder)


def test_a_dead_replica_comes_back_with_backoff(local):
    process = local.up(local.write({"s0": {"replicas": 2}}))
    first, second = local.pids()
    os.kill(first, signal.SIGKILL)

    def back():
        now = local.service()
        return now if now["restarts"] == 1 and now["ready"] == 2 else None

    service = eventually(back)
    assert service["replicas"][0]["pid"] not in (0, first)
    assert service["replicas"][0]["lastEnd"] == "killed by signal 9 (Killed)"
    assert service["replicas"][1]["pid"] == second
    # Its admin endpoint is where it was, and the page counts.
    assert json.loads(fetch(service["replicas"][0]["admin"] + "/config"))["replica"] == "s0-0"
    (application,) = local.applications()
    assert 'dpumesh_local_restarts_total{service="s0"} 1' in fetch(application["page"] + "/metrics")
    err = local.end(process)
    assert re.search(r"s0-0: killed by signal 9 \(Killed\); starting it again in \d+ms", err)


def test_connections_wait_out_the_death_of_the_only_replica(local):
    local.up(local.write({"s0": {}}))
    address = bridge(local)
    with pytest.raises((json.JSONDecodeError, ConnectionError)):
        ask(address, "/exit/5")
    assert ask(address)["body"] == "s0-0"
    assert local.service()["replicas"][0]["lastEnd"] == "exit status 5"


def test_a_crash_loop_backs_off_and_shows_the_last_lines(local):
    local.command("s0", "crash")
    process = local.popen(*local.up_arguments(local.write({"s0": {}}), "--timeout", "4s"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    delays = [int(ms) for ms in re.findall(r"exit status 3; starting it again in (\d+)ms", err)]
    assert len(delays) >= 3
    assert 75 <= delays[0] <= 125 and delays[0] < delays[1] < delays[2]
    assert "s0-0 | about to crash" in err
    assert "not ready in time" in err
    assert not local.leftovers()


def test_a_refused_configuration_is_not_tried_again(local):
    local.command("s1", "refuse")
    out, err = local.run(*local.up_arguments(local.write({"s0": {}, "s1": {}})), status=1)
    assert out == ""
    assert err.count("refuses to start") == 1
    assert "s1-0 | agent.json: limits.requests: 0 is below 1" in err
    assert not local.leftovers()


def test_a_replica_that_fails_later_leaves_the_others_alone(local):
    process = local.up(local.write({"s0": {}}))
    local.command("s0-1", "refuse")
    _, err = local.run("scale", "s0", "2", status=1)
    assert "s0-1" in err and "dpumesh logs s0" in err
    assert states(local) == ["ready", "failed"]
    (local.commands / "s0-1").unlink()
    local.run("scale", "s0", "2")
    assert states(local) == ["ready", "ready"]
    local.end(process, status=1)


def test_kill_9_of_the_supervisor_leaves_nothing(local):
    path = local.write({"s0": {"replicas": 3}, "s1": {}})
    process = local.up(path)
    pids = local.pids() + local.pids("s1")
    process.kill()
    process.communicate()
    eventually(lambda: not any(map(alive, pids)))
    assert local.applications() == []
    assert not list((local.runtime / "dpumesh").iterdir())
    local.end(local.up(path))


@pytest.mark.slow
def test_ps_of_a_supervisor_that_hangs(local):
    process = local.up(local.write({"s0": {}}))
    process.send_signal(signal.SIGSTOP)
    out, err = local.run("ps", status=1)
    process.send_signal(signal.SIGCONT)
    assert out == "" and "app: does not answer" in err and "no application" not in err
    local.end(process)


@pytest.mark.slow
def test_up_ends_what_a_killed_supervisor_left(local):
    local.command("s0", "ignore-term")
    path = local.write({"s0": {}})
    process = local.up(path)
    (pid,) = local.pids()
    process.kill()
    process.communicate()
    time.sleep(0.3)
    assert alive(pid)
    assert local.applications() == []
    local.command("s0", "")
    process = local.up(path)
    assert not alive(pid)
    local.end(process)


@pytest.mark.slow
def test_a_replica_that_ignores_sigterm_is_killed_in_time(local):
    local.command("s0", "ignore-term")
    process = local.up(local.write({"s0": {"limits": {"drainTimeout": "1s"}}}))
    started = time.monotonic()
    err = local.end(process)
    assert 5 < time.monotonic() - started < 20
    assert "s0-0: has not drained in time; killing it" in err


def test_a_second_interrupt_kills_at_once(local):
    local.command("s0", "ignore-term")
    process = local.up(local.write({"s0": {"replicas": 2}}))
    process.send_signal(signal.SIGINT)
    eventually(lambda: states(local) == ["draining"] * 2)
    started = time.monotonic()
    local.end(process, status=130)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_drain_too(local, signal_number):
    process = local.up(local.write({"s0": {}}))
    local.end(process, signal_number)


def test_two_applications_at_once(local, address):
    first = local.up(local.write({"s0": {}}, "first.yaml"))
    _, err = local.run(*local.up_arguments(local.folder / "first.yaml"), status=2)
    assert f"first is running already (pid {first.pid})" in err
    local.address = address.rsplit(".", 1)[0] + ".100"
    second = local.up(local.write({"s0": {}, "s1": {}}, "second.yaml"), "--name", "other")
    assert [a["name"] for a in local.applications()] == ["first", "other"]
    for verb in (["scale", "s0", "2"], ["down"], ["logs"]):
        _, err = local.run(*verb, status=2)
        assert "first, other" in err and "--name" in err
    local.run("scale", "s0", "2", "--name", "other")
    local.run("down", "--name", "other")
    assert second.wait(timeout=30) == 0
    assert [a["name"] for a in local.applications()] == ["first"]
    local.run("down", "--all")
    assert first.wait(timeout=30) == 0


def test_down_waits_for_the_drain(local):
    local.command("s0", "drain=0.7")
    process = local.up(local.write({"s0": {"replicas": 2}}))
    pids = local.pids()
    started = time.monotonic()
    local.run("down")
    assert time.monotonic() - started > 0.6
    assert not any(map(alive, pids)) and process.wait(timeout=30) == 0
    assert not list((local.runtime / "dpumesh").iterdir())


def test_logs_of_a_service_a_replica_and_all(local):
    local.command("s0", "chatty=200")
    local.up(local.write({"s0": {"replicas": 2}, "s1": {}}))
    def last_line_there():
        return "line 000199" in local.run("logs", "s0-1", "--tail", "1")[0]

    eventually(last_line_there)
    out, _ = local.run("logs", "s0", "--tail", "2")
    assert sorted(out.splitlines()) == [
        "s0-0 | line 000198 of s0-0", "s0-0 | line 000199 of s0-0",
        "s0-1 | line 000198 of s0-1", "s0-1 | line 000199 of s0-1",
    ]
    out, _ = local.run("logs", "s0-0")
    assert out.splitlines()[-1] == "line 000199 of s0-0" and len(out.splitlines()) == 100
    assert "s1-0 | level=info msg=started" in local.run("logs")[0]
    _, err = local.run("logs", "s7", status=2)
    assert "no logs of s7" in err and "s0-0, s0-1, s1-0" in err


def test_logs_follow_new_lines_rotation_and_new_replicas(local):
    process = local.up(local.write({"s0": {}}))
    follower = local.popen("logs", "s0", "-f", "--tail", "0")
    output = []
    reader = threading.Thread(target=lambda: output.extend(follower.stdout))
    reader.start()
    time.sleep(0.3)
    local.command("s0", "chatty=60000")  # 1.3 MB: past the cap of one file
    local.run("scale", "s0", "2")
    logs = local.runtime / "dpumesh" / "app" / "logs"
    def last_line_there():
        return "line 059999" in local.run("logs", "s0-1", "--tail", "1")[0]

    eventually(last_line_there, 40)
    assert (logs / "s0-1.log").stat().st_size <= 1 << 20
    assert 0 < (logs / "s0-1.log.1").stat().st_size <= 1 << 20
    local.end(process)
    assert follower.wait(timeout=30) == 0
    reader.join()
    lines = [line for line in output if line.startswith("s0-1 | line ")]
    assert lines == [f"s0-1 | line {i:06d} of s0-1\n" for i in range(60000)]


def test_detach_leaves_an_application_behind_until_down(local):
    path = local.write({"s0": {}})
    out, _ = local.run(*local.up_arguments(path, "--detach"))
    assert "1/1" in out
    (application,) = local.applications()
    assert application["state"] == "running"
    os.kill(local.pids()[0], signal.SIGKILL)
    log = local.runtime / "dpumesh" / "app" / "up.log"
    eventually(lambda: "killed by signal 9" in log.read_text())
    local.run("down")
    eventually(lambda: not alive(application["pid"]))

    local.command("s0", "refuse")
    _, err = local.run(*local.up_arguments(path, "--detach"), status=1)
    assert "refuses to start" in err


def test_apply_hands_over_configurations_and_numbers(local):
    path = local.write({"s0": {"egress": {"workers": 1}}, "s1": {}})
    local.up(path)
    (pid,) = local.pids()
    local.write({"s0": {"egress": {"workers": 7}, "replicas": 2}, "s1": {}})
    out, _ = local.run("apply")
    eventually(lambda: states(local) == ["ready"] * 2)
    assert local.pids()[0] == pid, "no restart"
    for replica in local.service()["replicas"]:
        assert json.loads(fetch(replica["admin"] + "/config"))["egress"]["workers"] == 7
    local.write({"s0": {"egress": {"workers": -7}}, "s1": {}})
    _, err = local.run("apply", status=2)
    assert "workers" in err
    local.write({"s0": {"egress": {"workers": 3}, "limits": {"requests": 77}}, "s1": {}})
    _, err = local.run("apply", status=2)
    assert "limits.requests" in err and "dpumesh down" in err
    local.write({"s0": {}})
    _, err = local.run("apply", status=2)
    assert "services or ports have changed" in err
    assert json.loads(fetch(local.service()["replicas"][0]["admin"] + "/config"))["egress"][
        "workers"
    ] == 7, "all or nothing"
    assert states(local) == ["ready"] * 2


@pytest.mark.parametrize("lacks", ["config/s0-0.json", "logs/s0-1.log"])
def test_apply_again_mends_what_could_not_be_written(local, lacks):
    """As with a full disk: the file of a replica is not there after the first try, and is after the next."""
    local.up(local.write({"s0": {"egress": {"workers": 1}}}))
    (application,) = local.applications()
    path = pathlib.Path(application["runDirectory"], lacks)
    path.unlink(missing_ok=True)
    path.mkdir()
    local.write({"s0": {"egress": {"workers": 7}, "replicas": 2}})
    _, err = local.run("apply", status=1)
    assert str(path) in err
    path.rmdir()
    local.run("apply")
    eventually(lambda: states(local) == ["ready"] * 2)
    for config in pathlib.Path(application["runDirectory"], "config").iterdir():
        assert json.loads(config.read_text())["egress"]["workers"] == 7
    assert path.exists()


def test_the_page_lists_targets(local):
    local.up(local.write({"s0": {"replicas": 2}}))
    (application,) = local.applications()
    groups = json.loads(fetch(application["page"] + "/targets"))
    assert [g["labels"] for g in groups] == [
        {"application": "app", "service": "s0", "replica": f"s0-{i}"} for i in range(2)
    ]
    for group in groups:
        assert fetch(f"http://{group['targets'][0]}/readyz") == "ok\n"
    metrics = fetch(application["page"] + "/metrics")
    assert 'dpumesh_local_replicas{service="s0"} 2' in metrics
    assert 'dpumesh_local_replicas_ready{service="s0"} 2' in metrics
    assert fetch(application["page"] + "/readyz")


def test_colours_only_on_a_terminal(local, bin_dir):
    path = local.write({"s0": {}})
    local.up(path)
    def through_a_terminal(**extra):
        master, slave = os.openpty()
        subprocess.run([bin_dir / "dpumesh", "ps"], stdout=slave, check=True,
                       env={**local.environment, "TERM": "xterm", **extra})
        os.close(slave)
        text = os.read(master, 65536)
        os.close(master)
        return text

    assert b"\033[1mSERVICE" in through_a_terminal()
    assert b"\033" not in through_a_terminal(NO_COLOR="1")
    assert b"\033" not in through_a_terminal(TERM="dumb")
    assert "\033" not in local.run("ps")[0]


def test_others_run_directories_are_refused(local):
    (local.runtime / "dpumesh").mkdir(mode=0o777)
    os.chmod(local.runtime / "dpumesh", 0o777)
    _, err = local.run(*local.up_arguments(local.write({"s0": {}})), status=2)
    assert "others may enter" in err


def test_idle_supervisor_does_not_wake_up(local):
    process = local.up(local.write({"s0": {}}), "--metrics", "127.0.0.1:0")

    def switches():
        status = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/status").read_text()
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])

    def asleep():
        before = switches()
        time.sleep(1.5)
        return switches() == before

    # What the start left to do comes first.
    assert any(asleep() for _ in range(4))


def test_a_log_reader_that_leaves_is_no_problem(local):
    local.command("s0", "chatty=5000")
    local.up(local.write({"s0": {}}))
    reader = subprocess.run(
        f"{local.program} logs s0 -f --tail 5000 | head -2",
        shell=True, env=local.environment, capture_output=True, text=True, timeout=20, check=True,
    )
    assert len(reader.stdout.splitlines()) == 2
