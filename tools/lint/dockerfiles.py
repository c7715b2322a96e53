"""Checks of Dockerfiles: what the images promise (docs/images.md) can be seen before they are built."""

import re

from tree import Finding

NUMERIC_USER = re.compile(r"[1-9]\d*:[1-9]\d*")


def instructions(text):
    """[(line, word in capitals, the rest)]: comments and continued lines are put right."""
    found, begun, parts = [], 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue
        begun = begun if parts else number
        parts.append(line.rstrip("\\").strip())
        if not line.endswith("\\"):
            word, _, rest = " ".join(parts).partition(" ")
            found.append((begun, word.upper(), rest.strip()))
            parts = []
    return found


def check(tree):
    """refuses Dockerfiles with ADD, HEALTHCHECK, no numeric USER, or an ENTRYPOINT that needs a shell"""
    for path in tree.paths:
        if path.rpartition("/")[2].startswith("Dockerfile"):
            yield from check_one(path, instructions(tree.text(path)))


def check_one(path, found):
    last = {}
    for line, word, rest in found:
        # Only the last stage becomes the image.
        last = {} if word == "FROM" else {**last, word: (line, rest)}
        if word == "ADD":
            yield Finding(path, line, "ADD fetches and unpacks; COPY what is in the tree")
        elif word == "HEALTHCHECK":
            yield Finding(path, line, "HEALTHCHECK is docker's own; Kubernetes has probes")
        elif word in ("ENTRYPOINT", "CMD") and not rest.startswith("["):
            yield Finding(path, line, f'{word} needs a shell this way; write {word} ["/usr/bin/..."]')
    end = found[-1][0] if found else 1
    if "ENTRYPOINT" not in last:
        yield Finding(path, end, "the last stage has no ENTRYPOINT")
    if "USER" not in last:
        yield Finding(path, end, "the last stage has no USER; name one by number, such as 65532:65532")
    elif not NUMERIC_USER.fullmatch(last["USER"][1]):
        line, rest = last["USER"]
        yield Finding(path, line, f"USER {rest} is not two numbers above 0, such as 65532:65532")
