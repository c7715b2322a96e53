"""The images: what is in them, and that they run as the operator's pods run them."""

import json
import tarfile
import time

import pytest
from conftest import EPOCH, MADE_BY_ENGINES, NAMES, Build, copy_tree
from runtime import Container

USER = "65532:65532"
MOST_MB = {"agent": 30, "operator": 30}
PROGRAMS = {"agent": ["dpumesh", "dpumesh-agent"], "operator": ["dpumesh-operator"]}
LABELS = {"title", "description", "licenses", "version", "revision", "created", "base.name"}
DOCUMENT = """\
apiVersion: dpumesh.io/v1alpha1
kind: DpuService
metadata: {name: s0}
spec:
  workload: {internalService: {loader: {sleepStress: {run: false}, meanResponseSize: 0.005}}}
  egress: {latency: {distribution: constant, value: 1ms}}
"""


def members(archive):
    """The members of each layer, the base first."""
    for descriptor in archive.manifest()[1]["layers"]:
        with archive.layer(descriptor) as stream, tarfile.open(fileobj=stream) as tar:
            yield list(tar)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is(build, name):
    config = build.archives[name].config()
    assert config["config"]["User"] == USER
    assert config["config"]["Entrypoint"] == [f"/usr/bin/{PROGRAMS[name][-1]}"]
    assert "Healthcheck" not in config["config"] and not config["config"].get("Cmd")
    labels = config["config"]["Labels"]
    given = {key: labels.get(f"org.opencontainers.image.{key}") for key in LABELS}
    assert all(given.values()), given
    assert given["title"] == f"mubench-dpu-{name}" and given["licenses"] == "Apache-2.0"
    assert given["created"] == config["created"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("name", NAMES)
def test_an_image_adds_little_to_the_base(build, name):
    _, over_base, packed = build.table[name]
    assert 0 < packed < over_base <= MOST_MB[name]
    _, *ours = members(build.archives[name])
    names = {m.name for layer in ours for m in layer if not m.isdir()}
    assert {m for m in names if m.startswith("usr/bin/")} == {f"usr/bin/{p}" for p in PROGRAMS[name]}
    assert "usr/share/doc/mubench-dpu/copyright" in names
    # The dpumesh in it asks no cluster and fits no profile; the agent's real calls take TLS (docs/dependencies.md).
    absent = ("libcurl", "libnlopt", "libstdc++.so", "libigraph")
    assert name != "agent" or not [m for m in names if any(library in m for library in absent)]
    # Neither what tells where it was built nor what only building needs.
    assert not [m for m in names if m.startswith(("etc/apt/", "var/lib/apt/lists/", "src/", "root/"))]
    assert not [m for m in names if m.endswith((".a", ".h", ".deb"))]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_adds_no_privileged_file_and_none_that_others_may_write(build, name):
    _, *ours = members(build.archives[name])
    files = [m for layer in ours for m in layer if m.isfile()]
    assert not [m.name for m in files if m.mode & 0o6000]
    assert not [m.name for m in files if m.mode & 0o002]
    assert not [m.name for m in files if any(key.endswith("security.capability") for key in m.pax_headers)]


@pytest.mark.parametrize("name", NAMES)
def test_layers_tell_no_time_but_the_one_that_was_given(build, name):
    _, *ours = members(build.archives[name])
    assert {int(m.mtime) for layer in ours for m in layer if m.name not in MADE_BY_ENGINES} <= {EPOCH}


@pytest.mark.parametrize(("name", "program"), [(name, p) for name in NAMES for p in PROGRAMS[name]])
def test_its_programs_run(rootfs, scratch, name, program):
    for option in ("--version", "--help"):
        with Container(rootfs[name], [f"/usr/bin/{program}", option], scratch) as container:
            done = container.run()
        assert done.returncode == 0, done.stderr
        assert program in done.stdout and done.stderr == ""


def test_the_dpumesh_of_a_pod_refuses_to_calibrate(rootfs, scratch):
    calibrate = ["/usr/bin/dpumesh", "calibrate", "--data", "mine.csv", "--config", "proxy"]
    with Container(rootfs["agent"], calibrate, scratch) as container:
        done = container.run()
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "dpumesh: this dpumesh was built without NLopt, which fits profiles\n"


def test_an_agent_serves_as_the_operators_pod_has_it(build, rootfs, scratch):
    """Arguments, user and mounts are those of the Deployment that dpumesh in the image prints."""
    document = scratch / "s0.yaml"
    document.write_text(DOCUMENT)
    render = ["/usr/bin/dpumesh", "render", "-f", "/etc/s0.yaml"]
    (rootfs["agent"] / "etc/s0.yaml").touch()
    with Container(rootfs["agent"], render, scratch, mounts=[(document, "/etc/s0.yaml")]) as container:
        done = container.run()
    assert done.returncode == 0, done.stderr
    children = {child["kind"]: child for child in json.loads(done.stdout)["items"]}
    pod = children["Deployment"]["spec"]["template"]["spec"]
    security, agent = pod["securityContext"], pod["containers"][0]
    user = f"{security['runAsUser']}:{security['runAsGroup']}"
    assert user == USER == build.archives["agent"].config()["config"]["User"]
    assert agent["securityContext"]["readOnlyRootFilesystem"] and "command" not in agent

    config = scratch / "config"
    config.mkdir(mode=0o755)
    for key, text in children["ConfigMap"]["data"].items():
        (config / key).write_text(text)
    where = agent["volumeMounts"][0]["mountPath"]
    arguments = build.archives["agent"].config()["config"]["Entrypoint"] + agent["args"]
    with Container(rootfs["agent"], arguments, scratch, user=user, mounts=[(config, where)]) as container:
        container.start()
        load = ["/usr/bin/dpumesh", "load", "--concurrency", "4", "--requests", "40"]
        for target in ("tcp://127.0.0.1:5005", "http://127.0.0.1:8080/api/v1"):
            deadline = time.monotonic() + 20
            while (done := container.execute(*load, target)).returncode != 0 and time.monotonic() < deadline:
                time.sleep(0.2)
            assert done.returncode == 0, done.stdout + done.stderr + container.log()
            assert "40 answered" in done.stdout
        refused = container.execute("/usr/bin/touch", "/tmp/x")
        assert refused.returncode != 0 and "Read-only file system" in refused.stderr
        assert container.execute("/usr/bin/dash", "-c", "true").returncode != 0
        container.runc("kill", container.name, "TERM")
        assert container.process.wait(timeout=30) == 0, container.log()


def test_an_operator_looks_for_its_cluster(rootfs, scratch):
    """Without an API server it says where it looked."""
    with Container(rootfs["operator"], ["/usr/bin/dpumesh-operator"], scratch) as container:
        done = container.run()
    assert done.returncode == 2, done.stderr  # docs/exit-status.md
    assert "no kubeconfig" in done.stderr and "service account" in done.stderr


# The operator's takes a minute more, and its build differs in the last steps only: ./dev test leaves it out.
@pytest.mark.parametrize("name", ["agent", pytest.param("operator", marks=pytest.mark.slow)])
def test_another_tree_with_the_same_contents_makes_the_same_image(build, scratch, name):
    """Other times, other modes, nothing from earlier builds."""
    tree = copy_tree(scratch / f"again-{name}", EPOCH + 86400, 0o700)
    again = Build(tree, scratch / f"second-{name}", "--no-cache", names=[name])
    first, second = build.archives[name].config(), again.archives[name].config()
    assert second["rootfs"] == first["rootfs"]
    assert second == first
    assert again.table[name] == build.table[name]
    assert again.paths[name].read_bytes() == build.paths[name].read_bytes()
