"""Keys and certificates of a control plane for tests, made by the openssl program.

    ca = Authority(folder, "serving-ca")
    pair = ca.issue("kube-apiserver", hosts=["localhost", "127.0.0.1"])
    pair.certificate, pair.key          # paths of PEM files
"""

import ipaddress
import pathlib
import subprocess
from typing import NamedTuple

DAYS = "30"


class Pair(NamedTuple):
    certificate: pathlib.Path
    key: pathlib.Path


def openssl(*arguments, text=""):
    done = subprocess.run(
        ["openssl", *map(str, arguments)], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
    return done.stdout


def new_key(path):
    """An EC key, readable by its owner only."""
    path.touch(mode=0o600)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


def new_key_pair(folder, name):
    """A private key and its public half, as service account tokens are signed with: (key, public)."""
    key = new_key(folder / f"{name}.key")
    public = folder / f"{name}.pub"
    openssl("pkey", "-in", key, "-pubout", "-out", public)
    return key, public


def alternative(host):
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


class Authority:
    """A certificate authority whose files lie in a folder under its name."""

    def __init__(self, folder, name):
        self.folder = folder
        self.name = name
        self.key = new_key(folder / f"{name}.key")
        self.certificate = folder / f"{name}.crt"
        openssl(
            "req", "-x509", "-new", "-key", self.key, "-subj", f"/CN={name}", "-days", DAYS,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
            "-out", self.certificate,
        )  # fmt: skip

    def pem(self):
        return self.certificate.read_text()

    def issue(self, name, subject=None, hosts=(), days=DAYS):
        """A key and a certificate named after their user. Hosts make it one for a server, a subject
        such as /O=system:masters/CN=admin one for a client."""
        path = self.folder / f"{name}.{self.name}"
        key = new_key(path.with_name(path.name + ".key"))
        extensions = ["keyUsage=critical,digitalSignature"]
        extensions.append(f"extendedKeyUsage={'serverAuth' if hosts else 'clientAuth'}")
        if hosts:
            extensions.append("subjectAltName=" + ",".join(map(alternative, hosts)))
        extension_file = path.with_name(path.name + ".ext")
        extension_file.write_text("\n".join(extensions) + "\n")
        request = openssl("req", "-new", "-key", key, "-subj", subject or f"/CN={name}")
        certificate = path.with_name(path.name + ".crt")
        openssl(
            "x509", "-req", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-days", days, "-extfile", extension_file, "-out", certificate, text=request,
        )  # fmt: skip
        return Pair(certificate, key)
