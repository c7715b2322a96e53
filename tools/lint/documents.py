"""Checks of the documents: what they mention exists."""

import pathlib
import re

from tree import Finding, line_of, normal

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|(?:src|srcset|href)=\"([^\"]+)\"")
MENTION = re.compile(
    r"(?<![\w./-])((?:examples|docs|tools|bench|tests|lib|agent|ctl)/[\w./-]*\w\.(?:yaml|json|md|svg|sh|py|c|h))\b"
)
DEV_VERB = re.compile(r"(?<!\w)\./dev ([a-z]+)")


def check(tree):
    """refuses links to nowhere, examples and files that do not exist, verbs that ./dev does not have"""
    verbs = {pathlib.PurePath(p).stem for p in tree.paths if p.startswith("tools/dev/")} - {"common"}
    for path in tree.matching(".md"):
        text = tree.text(path)
        yield from check_links(tree, path, text)
        for match in MENTION.finditer(text):
            here = normal(pathlib.PurePath(path).parent / match[1])
            if match[1] not in tree.paths and here not in tree.paths:
                yield Finding(path, line_of(text, match.start()), f"{match[1]} does not exist")
        for match in DEV_VERB.finditer(text):
            if verbs and match[1] not in verbs | {"help"}:
                yield Finding(path, line_of(text, match.start()), f"./dev has no verb {match[1]}")
    yield from check_licence(tree)


def check_links(tree, path, text):
    folders = {str(parent) for p in tree.paths for parent in pathlib.PurePath(p).parents}
    # Code is not prose: an array index before a call looks like a link.
    prose = re.sub(r"```.*?```|`[^`\n]*`", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)
    for match in LINK.finditer(prose):
        target = (match[1] or match[2]).partition("#")[0]
        if not target or re.match(r"[a-z+]+:", target):
            continue
        resolved = normal(pathlib.PurePath(path).parent / target)
        if resolved not in tree.paths and resolved.rstrip("/") not in folders:
            yield Finding(path, line_of(text, match.start()), f"links to {target}, which does not exist")


def check_licence(tree):
    if "README.md" not in tree.paths:
        return
    readme = tree.text("README.md")
    licence = tree.text("LICENSE") if "LICENSE" in tree.paths else ""
    if "Apache License" not in licence or "Version 2.0" not in licence:
        yield Finding("LICENSE", 1, "is not the Apache License 2.0 that this project is under")
    if "LICENSE" not in readme:
        yield Finding("README.md", 1, "does not name its licence; link to LICENSE")
