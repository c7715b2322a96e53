#!/usr/bin/python3
"""The control of work.c: the internal work of muBench's service cell in the language it is written in.

    work.py pi DIGITS RUNS
    work.py memory KB OPERATIONS RUNS
    work.py disk DIRECTORY BLOCKS BLOCK_BYTES RUNS

Written after the description of the functions, with the means that Python brings: pi by an unbounded spigot
over whole numbers (Gibbons, 2006, section 6), since that is what a cell without a mathematics library has.
Prints {"cpu_us": ..., "wall_us": ..., "check": ...} as work.c does, and the check must be the same.
"""

import json
import os
import random
import sys
import tempfile
import time


def pi_digits(count):
    """The first digits of pi, by Gibbons' stream of Lambert's series in whole numbers, with the next digit
    estimated before it is certain, as muBench's cells do it."""
    digits = []
    scale, rest, divisor, term, guess, odd = 1, 0, 1, 1, 3, 3
    while len(digits) < count:
        if 4 * scale + rest - divisor < guess * divisor:
            digits.append(guess)
            following = 10 * (3 * scale + rest) // divisor - 10 * guess
            scale, rest, guess = 10 * scale, 10 * (rest - guess * divisor), following
        else:
            guess = (scale * (7 * term + 2) + rest * odd) // (divisor * odd)
            scale, rest, divisor = scale * term, (2 * scale + rest) * odd, divisor * odd
            term, odd = term + 1, odd + 2
    return digits


def pi(count):
    value = 0
    for digit in pi_digits(count)[-9:]:
        value = value * 10 + digit
    return value


def memory(blocks, operations):
    """Blocks of 1000 bytes, written; then a byte is read and written in the next block each time."""
    taken = [bytearray(b"A" * 1000) for _ in range(blocks)]
    check = 0
    for i in range(operations):
        block = taken[i % blocks]
        check = (check * 31 + block[0]) & 0xFFFFFFFF
        block[0] = i & 0xFF
    return check


def disk(directory, blocks, block_bytes):
    """Random blocks, made safe, and read again in random order."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(blocks):
            file.write(os.urandom(block_bytes))
        os.fsync(file.fileno())
        order = list(range(blocks))
        random.shuffle(order)
        for block in order:
            file.seek(block * block_bytes)
            assert len(file.read(block_bytes)) == block_bytes
    return 0


def main():
    kind, *arguments, runs = sys.argv[1:]
    runs = int(runs)
    if kind == "disk":
        arguments = [arguments[0], *map(int, arguments[1:])]
    else:
        arguments = list(map(int, arguments))
    work = {"pi": pi, "memory": memory, "disk": disk}[kind]
    cpu, wall = time.process_time(), time.monotonic()
    for _ in range(runs):
        check = work(*arguments)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print(json.dumps({"cpu_us": cpu * 1e6 / runs, "wall_us": wall * 1e6 / runs, "check": check}))


if __name__ == "__main__":
    main()
