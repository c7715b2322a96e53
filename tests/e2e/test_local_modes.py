"""dpumesh up --mode and --profile, and profiles among the files: what the agents are told, and ps."""

import json

import pytest

from conftest import TOP, fetch

OWN = json.loads((TOP / "profiles" / "envoy-strict.json").read_text())
LABELS = {"dpumesh.io/profile": "true"}


def service(name, **datapath):
    return {
        "apiVersion": "dpumesh.io/v1alpha1",
        "kind": "DpuService",
        "metadata": {"name": name},
        "spec": {"datapath": datapath} if datapath else {},
    }


def profile(name="mine", message=100, kind="sidecar"):
    made = json.loads(json.dumps({**OWN, "name": f"{name}-inside", "kind": kind}))
    made["parameters"]["message"] = {"value": message, "unit": "ns", "source": "this test"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": LABELS},
        "data": {"profile.json": json.dumps(made)},
    }


def write(local, *documents):
    path = local.folder / "app.yaml"
    path.write_text("\n---\n".join(map(json.dumps, documents)))
    return path


def told(local, name):
    """The datapath of each replica's configuration, as the agent reads it."""
    (replica,) = local.service(name)["replicas"]
    return way(json.loads(fetch(replica["admin"] + "/config")))


def way(config):
    """Mode and profile of a configuration of the agent."""
    return {key: config["datapath"][key] for key in ("mode", "profile") if key in config["datapath"]}


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ((), ("dpu", "bluefield3-native")),
        (("--mode", "direct"), ("direct", "")),
        (("--mode", "sidecar"), ("sidecar", "envoy-permissive")),
        (("-m", "dpu", "-p", "bluefield3-preload"), ("dpu", "bluefield3-preload")),
        (("--mode", "sidecar", "--profile", TOP / "profiles" / "envoy-strict.json"), ("sidecar", "envoy-strict")),
    ],
    ids=["default", "direct", "sidecar", "shipped", "file"],
)
def test_up_overrides(local, arguments, expected):
    path = write(local, service("s0"), service("s1", mode="dpu", profile="ideal") if not arguments else service("s1"))
    process = local.up(path, *arguments)
    mode, name = expected
    one = local.service("s0")
    assert (one["mode"], one["profile"]) == expected
    assert process.table[1].split()[:2] == ["s0", mode]
    config = told(local, "s0")
    own = config.get("profile", "")
    assert config["mode"] == mode and (own["name"] if isinstance(own, dict) else own) == name
    if not arguments:
        assert told(local, "s1") == {"mode": "dpu", "profile": "ideal"}
        assert local.service("s1")["profile"] == "ideal"
    out, _ = local.run("ps")
    assert f"s0       {mode}" in out
    local.end(process)


def test_a_profile_among_the_files_and_a_change_of_it(local):
    """apply hands it over, and what is wrong with it leaves the old one."""
    path = write(local, profile(), service("s0", mode="sidecar", profile="mine"), service("s1"))
    process = local.up(path)
    assert told(local, "s0")["profile"]["parameters"]["message"]["value"] == 100
    assert local.service("s0")["profile"] == "mine-inside"
    write(local, profile(message=300), service("s0", mode="sidecar", profile="mine"), service("s1", mode="direct"))
    local.run("apply")
    assert told(local, "s0")["profile"]["parameters"]["message"]["value"] == 300
    assert told(local, "s1") == {"mode": "direct"} and local.service("s1")["mode"] == "direct"
    write(local, profile(kind="direct"), service("s0", mode="sidecar", profile="mine"), service("s1", mode="direct"))
    _, err = local.run("apply", status=2)
    assert "mine is a profile of kind direct, but mode is sidecar" in err
    write(local, service("s0", mode="sidecar", profile="mine"), service("s1", mode="direct"))
    _, err = local.run("apply", status=2)
    assert 'no profile is called "mine"' in err
    assert told(local, "s0")["profile"]["parameters"]["message"]["value"] == 300
    local.end(process)


def test_apply_keeps_what_up_was_told(local):
    path = write(local, service("s0"))
    process = local.up(path, "--mode", "sidecar")
    write(local, {**service("s0"), "spec": {"egress": {"workers": 3}}})
    local.run("apply")
    assert told(local, "s0") == {"mode": "sidecar", "profile": "envoy-permissive"}
    local.end(process)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("--mode", "fpga"), 'option --mode: "fpga" is no choice; give one of direct, sidecar, dpu'),
        (("--profile", "nope"), "--profile: no profile is called nope; there are bluefield3-native, "),
        (("--profile", "./nope.json"), "--profile: ./nope.json: can't open: No such file or directory"),
        (("--profile", "envoy-strict"),
         "--profile envoy-strict: of kind sidecar, but the mode of s0 is dpu; give --mode sidecar too, or another profile"),
        (("--mode", "direct", "--profile", "ideal"),
         "--profile ideal: of kind dpu, but the mode of s0 is direct; give --mode dpu too, or another profile"),
    ],
    ids=range(5),
)  # fmt: skip
@pytest.mark.parametrize("verb", ["up", "render"])
def test_refused(local, verb, arguments, sentence):
    path = write(local, service("s0"), service("s1"))
    more = ("--agent", local.agent, "--address", local.address) if verb == "up" else ()
    out, err = local.run(verb, "-f", path, *arguments, *more, status=2)
    lines = [line for line in err.splitlines() if not line.startswith("Try '")]
    assert len(lines) == 1 and sentence in lines[0] and out == "", err


def test_render_and_validate(local):
    path = write(local, profile(), service("s0", mode="sidecar", profile="mine"))
    out, _ = local.run("validate", "-f", path)
    assert out == "1 service, no problems\n"
    for arguments, expected in (
        ((), {"mode": "sidecar", "profile": json.loads(profile()["data"]["profile.json"])}),
        (("--mode", "dpu"), {"mode": "dpu", "profile": "bluefield3-native"}),
        (("--mode", "direct"), {"mode": "direct"}),
        (("--profile", "envoy-strict"), {"mode": "sidecar", "profile": "envoy-strict"}),
    ):
        out, _ = local.run("render", "-f", path, *arguments)
        (config_map,) = [one for one in json.loads(out)["items"] if one["kind"] == "ConfigMap"]
        assert way(json.loads(config_map["data"]["agent.json"])) == expected


def test_a_folder_of_files(local):
    folder = local.folder / "app"
    folder.mkdir()
    (folder / "a.yaml").write_text(json.dumps(service("s0", mode="sidecar", profile="mine")))
    (folder / "b.json").write_text(json.dumps(profile()))
    (folder / "README.md").write_text("not [a document")
    assert local.run("validate", "-f", folder)[0] == "1 service, no problems\n"
    (folder / "b.json").unlink()
    _, err = local.run("validate", "-f", folder, status=2)
    assert 'no profile is called "mine"' in err
    (folder / "a.yaml").unlink()
    _, err = local.run("validate", "-f", folder, status=2)
    assert err == f"dpumesh: {folder}: no file in it ends in .yaml, .yml or .json\n"
