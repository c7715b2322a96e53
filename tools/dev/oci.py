"""Packs an OCI image layout into an archive that is the same for the same image, and tells its size. Run by
tools/dev/images.sh:

    oci.py pack LAYOUT ARCHIVE     writes the archive; prints what `show` prints
    oci.py show ARCHIVE            prints "DIGEST OVER-BASE-MB COMPRESSED-MB"

The first layer is taken for the base: Debian's image has one. Sizes are of layers as they lie unpacked (a tar each),
in millions of bytes; the second is what is transferred for them.
"""

import gzip
import json
import pathlib
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


def pack(layout, path):
    """Names in order, and nobody's times, owners and modes: the bytes depend on the image alone."""
    layout = pathlib.Path(layout)
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
