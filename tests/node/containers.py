"""containerd on a node: its configuration, the network of its pods, and the image that holds a pod's namespaces."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile

from processes import eventually

# Where everybody looks for it; /run is the world's own.
SOCKET = "/run/containerd/containerd.sock"
PAUSE = "localhost/dpumesh-pause:1"
PAUSE_SOURCE = "#include <unistd.h>\nint main(void)\n{\n    for (;;)\n        pause();\n}\n"


def ctr(*arguments, check=True):
    """What ctr prints; in the namespace of Kubernetes' images and containers."""
    done = subprocess.run(
        ["ctr", "-n", "k8s.io", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, f"ctr {arguments}: {done.stderr}"
    return done.stdout


def network(pods):
    """A veth pair a pod, routed: with a bridge, pods would answer each other past the node's iptables rules."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd_command(folder, data, pods):
    """Writes the configuration below folder; what is big goes below data."""
    plugins = pathlib.Path(folder) / "cni"
    plugins.mkdir()
    (plugins / "10-pods.conflist").write_text(json.dumps(network(pods)))
    config = pathlib.Path(folder) / "containerd.toml"
    config.write_text(f"""\
version = 2
root = "{data}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Some machines do not let even root lower these.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{plugins}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
""")
    return ["containerd", "--config", config]


def wait_ready():
    command = ["ctr", "version"]
    eventually(
        lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, 30, "containerd does not answer"
    )


def add_file(tar, name, data, mode=0o644):
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    tar.addfile(member, io.BytesIO(data))


def import_pause(folder):
    """A pod's first process, in an image of its own: Kubernetes' can't be pulled everywhere."""
    program = pathlib.Path(folder) / "pause"
    command = ["gcc", "-x", "c", "-O2", "-static", "-s", "-o", program, "-"]
    subprocess.run(command, input=PAUSE_SOURCE, text=True, check=True)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        add_file(tar, "pause", program.read_bytes(), 0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    machine = os.uname().machine
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]}]
    archive = pathlib.Path(folder) / "pause.tar"
    with tarfile.open(archive, "w") as tar:
        add_file(tar, "layer.tar", layer.getvalue())
        add_file(tar, "config.json", json.dumps(config).encode())
        add_file(tar, "manifest.json", json.dumps(manifest).encode())
    ctr("images", "import", archive)
