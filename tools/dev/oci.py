"""Packs an OCI image layout into an archive that is the same for the same image, and tells its size. Run by
tools/dev/images.sh:

    oci.py pack LAYOUT ARCHIVE     settles the layout's history, writes the archive; prints what `show` prints
    oci.py show ARCHIVE            prints "DIGEST OVER-BASE-MB COMPRESSED-MB"

The first layer is taken for the base: Debian's image has one. Sizes are of layers as they lie unpacked (a tar each),
in millions of bytes; the second is what is transferred for them.
"""

import gzip
import hashlib
import json
import pathlib
import re
import sys
import tarfile
import zlib

CHUNK = 1 << 20


class Archive:
    """An OCI archive: the files of an image layout in a tar."""

    def __init__(self, path):
        self.tar = tarfile.open(path)

    def json(self, name):
        return json.load(self.tar.extractfile(name))

    def blob(self, descriptor):
        return self.tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/"))

    def manifest(self):
        """(descriptor of the one image's manifest, the manifest)."""
        descriptor = self.json("index.json")["manifests"][0]
        manifest = json.load(self.blob(descriptor))
        # Some writers put an index with one image, and what was noted about its making, below the first.
        while "manifests" in manifest:
            descriptor = next(m for m in manifest["manifests"] if m["platform"]["os"] != "unknown")
            manifest = json.load(self.blob(descriptor))
        return descriptor, manifest

    def config(self):
        return json.load(self.blob(self.manifest()[1]["config"]))

    def layer(self, descriptor):
        """A layer as an unpacked tar, to read from."""
        blob = self.blob(descriptor)
        if descriptor["mediaType"].endswith(("+gzip", ".gzip")):
            return gzip.GzipFile(fileobj=blob)
        if descriptor["mediaType"].endswith("zstd"):
            raise SystemExit("oci.py: a layer is packed with zstd; gzip or nothing was asked for")
        return blob

    def unpacked_bytes(self, descriptor):
        with self.layer(descriptor) as stream:
            return sum(len(chunk) for chunk in iter(lambda: stream.read(CHUNK), b""))


def show(path):
    archive = Archive(path)
    descriptor, manifest = archive.manifest()
    ours = manifest["layers"][1:]
    unpacked = sum(archive.unpacked_bytes(layer) for layer in ours)
    packed = sum(layer["size"] for layer in ours)
    print(f"{descriptor['digest']} {unpacked / 1e6:.1f} {packed / 1e6:.1f}")


def put_blob(layout, descriptor, value):
    """Puts an object in the place of the blob that the descriptor names, which then names that."""
    data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    (layout / "blobs" / descriptor["digest"].replace(":", "/")).unlink()
    descriptor["digest"] = "sha256:" + hashlib.sha256(data).hexdigest()
    descriptor["size"] = len(data)
    (layout / "blobs" / descriptor["digest"].replace(":", "/")).write_bytes(data)


def settle_history(layout):
    """Gives all steps of ours the image's own time, and forgets the names of images between them. buildah takes a
    step without a layer, such as ARG, from an earlier build, whatever time that was made for: the same tree would
    make an image that depends on what else was built on this machine."""
    index = json.loads((layout / "index.json").read_text())
    descriptor = index["manifests"][0]
    manifest = json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())
    if "manifests" in manifest:  # docker's builder, which has no such steps
        return
    config = json.loads((layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_text())
    steps = config.get("history", [])
    first = next((i for i, step in enumerate(steps) if "SOURCE_DATE_EPOCH" in step.get("created_by", "")), len(steps))
    for step in steps[first:]:
        step["created"] = config["created"]
        if re.fullmatch("FROM [0-9a-f]{12,64}", step.get("comment", "")):
            del step["comment"]
    # Of a base that a step stands for, it is that step's.
    manifest.get("annotations", {}).pop("org.opencontainers.image.base.digest", None)
    put_blob(layout, manifest["config"], config)
    put_blob(layout, descriptor, manifest)
    (layout / "index.json").write_text(json.dumps(index, separators=(",", ":"), sort_keys=True))


def pack(layout, path):
    """Names in order, and nobody's times, owners and modes: the bytes depend on the image alone."""
    layout = pathlib.Path(layout)
    settle_history(layout)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for source in sorted(p for p in layout.rglob("*") if p.is_file()):
            member = tarfile.TarInfo(str(source.relative_to(layout)))
            member.size = source.stat().st_size
            member.mode = 0o644
            with source.open("rb") as stream:
                tar.addfile(member, stream)


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "pack":
        pack(arguments[1], arguments[2])
        show(arguments[2])
    elif len(arguments) == 2 and arguments[0] == "show":
        show(arguments[1])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, tarfile.TarError, KeyError, zlib.error) as error:
        raise SystemExit(f"oci.py: {error}") from error
