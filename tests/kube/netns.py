"""A network namespace of the test's own, for what needs addresses beside 127.0.0.1: the API server's proxy
connects to no loopback address.

    with netns.entered("10.244.9.1", "10.244.9.2"):
        ...     # this thread, and the threads and processes that it starts, are in it
"""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def possible():
    """Whether we may make one: it takes root."""
    return os.geteuid() == 0 and os.path.exists("/proc/self/ns/net")


@contextlib.contextmanager
def entered(*addresses):
    """In a new namespace with these addresses, besides 127.0.0.1, on its loopback device."""
    with open("/proc/thread-self/ns/net", "rb") as before:
        check(LIBC.unshare(CLONE_NEWNET))
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            for address in addresses:
                subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
            yield
        finally:
            check(LIBC.setns(before.fileno(), CLONE_NEWNET))
