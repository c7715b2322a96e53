"""Documents: what they mention exists."""

import documents

LICENCE = "Apache License\nVersion 2.0\n"


def readme(make_tree, body):
    return make_tree(
        {
            "README.md": body + "\nLicence: [Apache-2.0](LICENSE)\n",
            "LICENSE": LICENCE,
            "examples/app.yaml": "",
            "docs/img/a.svg": "",
            "tools/dev/test.sh": "",
            "tools/dev/common.sh": "",
        }
    )


def test_what_exists_is_fine(make_tree, places):
    body = """\
[a](docs/architecture.md#rooms) ![b](docs/img/a.svg) <img src="docs/img/a.svg"> [c](https://example.org)
[d](#here) [e](docs/) `dpumesh up -f examples/app.yaml`, ./dev test, ./dev help, `f[i](j)`
"""
    assert places(documents.check, readme(make_tree, body)) == []


def test_what_does_not_exist_is_refused(make_tree, places):
    body = """\
[a](docs/nowhere.md)
<img src="docs/img/b.svg">
    dpumesh up -f examples/other.yaml
./dev fly and ./dev common
"""
    expected = [("README.md", line) for line in (1, 1, 2, 2, 3, 4, 4)]
    assert places(documents.check, readme(make_tree, body)) == expected


def test_a_licence_that_is_another(make_tree, places):
    tree = make_tree({"README.md": "no word of it\n", "LICENSE": "MIT\n"})
    assert places(documents.check, tree) == [("LICENSE", 1), ("README.md", 1)]
