"""Pages of tests: a test that is named for a demand exists."""

import promises

PAGE = '''"""What is promised.

    one thing                          test_one, test_two
    another                            {another}
"""


def test_one():
    pass


def test_two():
    pass
'''


def tree_with(make_tree, another):
    return make_tree(
        {
            "tests/e2e/test_page.py": PAGE.format(another=another),
            "tests/e2e/test_other.py": "def test_there():\n    pass\n",
            "tests/agent/test_thing.c": "Test(thing, works)\n{\n}\n\nTest(thing, never_fails, .timeout = 60)\n{\n}\n",
            "tests/agent/race_thing.c": "",
            "tests/e2e/kit.py": '"""Helpers, such as for test_anything."""\n',
        }
    )


def test_what_exists_is_fine(make_tree, places):
    for another in (
        "test_other.py: test_there",
        "test_other.py",
        "test_other.py: test_there; tests/agent/test_thing.c: works, never_fails",
        "tests/agent/test_thing.c, tests/agent/race_thing.c",
        "tests/agent/test_thing.c: works,\n                                       never_fails",
    ):
        assert places(promises.check, tree_with(make_tree, another)) == [], another


def test_what_does_not_exist_is_refused(make_tree, places):
    for another in (
        "test_three",
        "test_nowhere.py",
        "test_other.py: test_one",
        "tests/agent/test_nothing.c",
        "tests/agent/test_thing.c: work",
        "tests/agent/test_thing.c: works, fails",
    ):
        assert places(promises.check, tree_with(make_tree, another)) == [("tests/e2e/test_page.py", 4)], another
