"""The dependency rule. The tables in docs/architecture.md (rooms) and docs/dependencies.md (libraries) are the
rule itself; this reads them and refuses an #include or a CMake link that they do not allow."""

import re

from tree import Finding, line_of

ROOMS_FILE = "docs/architecture.md"
LIBRARIES_FILE = "docs/dependencies.md"
# A call of cmake/Dpumesh.cmake's functions: its name, the target, the rest.
CMAKE_CALL = re.compile(
    r"\b(dpumesh_(?:library|program|test|race|fuzzer)|target_link_libraries)\s*\(\s*(\S+)([^)]*)\)"
)


def table(text, first):
    """The rows of the markdown table whose first heading is `first`: lists of cells, code marks off."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            rows.append(cells)
    return rows


def words(cell):
    return [word for word in re.split(r"[\s,]+", cell) if word and word != "-"]


def room_table(tree):
    """{room: the rooms that it may include}, itself included."""
    if ROOMS_FILE not in tree.paths:
        return {}
    return {row[0]: {row[0], *words(row[1])} for row in table(tree.text(ROOMS_FILE), "room")}


def library_table(tree):
    """[(pattern of header names, rooms that may include them)]; `x*.h` stands for any ending."""
    if LIBRARIES_FILE not in tree.paths:
        return []
    rows = []
    for row in table(tree.text(LIBRARIES_FILE), "library"):
        for header in words(row[1]):
            pattern = re.escape(header).replace(r"\*", ".*")
            rows.append((re.compile(pattern), row[0], set(words(row[2]))))
    return rows


def room_of(path):
    """The room of a file: lib/obs/metric.c is in obs, tests/obs/test_metric.c in tests/obs."""
    parts = path.split("/")
    if parts[0] == "lib" and len(parts) > 2:
        return parts[1]
    if parts[0] == "tests" and len(parts) > 2:
        return "tests/" + parts[1]
    return parts[0] if len(parts) > 1 else ""


def allowed(room, rooms):
    """What a room may include. Tests of a room: that room, what it may, and each other."""
    if room.startswith("tests/"):
        tested = rooms.get(room.partition("/")[2])
        return None if tested is None else tested | {room}
    return rooms.get(room)


def check(tree):
    """refuses an #include or a link against the tables in docs/architecture.md and docs/dependencies.md"""
    rooms, libraries = room_table(tree), library_table(tree)
    if not rooms:
        yield Finding(ROOMS_FILE, 1, 'has no table whose first heading is "room"')
        return
    yield from check_includes(tree, rooms, libraries)
    yield from check_links(tree, rooms)


def check_includes(tree, rooms, libraries):
    for path in tree.c_files():
        room = room_of(path)
        may = allowed(room, rooms)
        for line, name, target in tree.includes(path):
            if target is None:
                for pattern, library, homes in libraries:
                    if pattern.fullmatch(name) and not base_rooms(room) & homes:
                        yield Finding(
                            path, line,
                            f"<{name}> is {library}'s, which {room or 'the top'} may not use; "
                            f"{LIBRARIES_FILE} allows it in {', '.join(sorted(homes))}",
                        )
                continue
            other = room_of(target)
            if may is not None and other and other not in may:
                yield Finding(
                    path, line,
                    f'includes "{name}" of {other}; {room} may include '
                    f"{', '.join(sorted(may - {room})) or 'nothing else'} ({ROOMS_FILE})",
                )


def base_rooms(room):
    """tests/obs may use what obs may, too."""
    return {room, room.partition("/")[2], room.partition("/")[0]}


def cmake_calls(tree):
    for path in tree.matching("CMakeLists.txt"):
        text = re.sub(r"#[^\n]*", lambda m: " " * len(m[0]), tree.text(path))
        for match in CMAKE_CALL.finditer(text):
            yield path, line_of(text, match.start()), match


def check_links(tree, rooms):
    homes = {}
    for path, _, match in cmake_calls(tree):
        if match[1] in ("dpumesh_library", "dpumesh_program"):
            homes[match[2]] = room_of(path)
    for path, line, match in cmake_calls(tree):
        room = room_of(path)
        may = allowed(room, rooms)
        if may is None:
            continue
        for word in words(match[3]):
            other = homes.get(word)
            if other and other not in may:
                yield Finding(
                    path, line,
                    f"{match[2]} links {word} of {other}; {room} may link "
                    f"{', '.join(sorted(may - {room})) or 'nothing else'} ({ROOMS_FILE})",
                )
