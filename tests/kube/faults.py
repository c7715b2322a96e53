"""What a FaultProxy (faultproxy.py) may do to a request, and when. A plan is a list of rules; the first
that fits a request says what happens to it.

    Rule(Answer(409), method="PATCH", path=r"/dpuservices/.*/status", times=1)
    Rule(Truncate("data", after=100), watch=False, probability=0.1)
    Rule(EndWatch(0, 20), watch=True)

Kubernetes neither duplicates nor reorders events, and so does nothing here."""

import copy
import json
import re
from typing import NamedTuple

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def status_object(code, reason=None, message=None):
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message or f"{REASONS.get(code, code)}, says the fault proxy",
        "reason": reason or REASONS.get(code, ""),
        "code": code,
    }


class Ended(Exception):
    """The connection to the client ends now: "reset" (RST), "fin" (TCP ends, TLS is not told),
    "close" (an orderly end of TLS), or "gone" (the client has left)."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Action:
    """Does no harm. One copy serves one request. A subclass overrides what it spoils and calls
    exchange.fire() when it does."""

    def __repr__(self):
        values = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({values})"

    async def on_request(self, exchange):
        """The request is read, not forwarded."""

    async def on_answer(self, exchange):
        """The API server has performed the request; nothing of its answer has been sent on."""

    async def send(self, exchange, _kind, data):
        """Bytes of the answer on their way: "head", and of the body "size" (a chunk's first line),
        "data", "pad" (the line end after a chunk) and "last" (what ends a chunked body)."""
        await exchange.write(data)

    def pieces(self, exchange, pieces):
        """The payload, as an asynchronous iterator; may leave out or add."""
        return pieces


class Reset(Action):
    """RST, before the request is forwarded or after it was performed."""

    def __init__(self, when="before"):
        self.when = when

    async def on_request(self, exchange):
        if self.when == "before":
            exchange.fire()
            raise Ended("reset")

    async def on_answer(self, exchange):
        exchange.fire()
        raise Ended("reset")


class Delay(Action):
    """So many seconds before the request is forwarded, or before its answer is."""

    def __init__(self, seconds, when="before"):
        self.seconds = seconds
        self.when = when

    async def on_request(self, exchange):
        if self.when == "before":
            await exchange.sleep(self.seconds)

    async def on_answer(self, exchange):
        if self.when != "before":
            await exchange.sleep(self.seconds)


class Answer(Action):
    """A Status object instead of the API server's answer; with performed=True the request is carried
    out all the same, as when a gateway times out."""

    def __init__(self, status, reason=None, message=None, headers=None, performed=False):
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers or {}
        self.performed = performed

    async def on_request(self, exchange):
        if not self.performed:
            await self.answer(exchange)

    async def on_answer(self, exchange):
        await self.answer(exchange)

    async def answer(self, exchange):
        exchange.fire()
        body = json.dumps(status_object(self.status, self.reason, self.message)).encode()
        await exchange.answer(self.status, body, {"Content-Type": "application/json", **self.headers})


def too_many_requests(retry_after=1):
    return Answer(429, headers={"Retry-After": str(retry_after)})


class Truncate(Action):
    """Ends the connection after so many bytes of a part of the answer: "all", or a kind of
    Action.send ("data" counts the payload). payload: not before so many bytes of that have passed."""

    def __init__(self, part, after=0, end="fin", payload=0):
        self.part = part
        self.after = after
        self.end = end
        self.payload = payload
        self._left = after

    async def send(self, exchange, kind, data):
        if self.part not in ("all", kind) or exchange.payload < self.payload:
            await exchange.write(data)
            return
        # The end of the head is a place of its own: nothing of the body comes.
        if len(data) > self._left or (kind == "head" and self.part == "head" and len(data) == self._left):
            exchange.fire()
            await exchange.write(data[: self._left])
            raise Ended(self.end)
        self._left -= len(data)
        await exchange.write(data)


class Stall(Action):
    """Nothing comes for so many seconds: before the head, or after so many bytes of payload. Then it
    goes on, or ends as said."""

    def __init__(self, seconds, after=None, then="go on"):
        self.seconds = seconds
        self.after = after
        self.then = then
        self._left = after

    async def stall(self, exchange):
        await exchange.sleep(self.seconds)
        if self.then != "go on":
            raise Ended(self.then)

    async def on_answer(self, exchange):
        if self.after is None:
            await self.stall(exchange)

    async def send(self, exchange, kind, data):
        if kind == "data" and self._left is not None:
            if len(data) > self._left:
                await exchange.write(data[: self._left])
                data = data[self._left :]
                self._left = None
                await self.stall(exchange)
            else:
                self._left -= len(data)
        await exchange.write(data)


async def events(pieces):
    """Splits the payload of a watch into its events, one line each."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


class DropBookmarks(Action):
    """Leaves bookmarks out of a watch; the one that ends a streaming list only when initial is True."""

    def __init__(self, initial=False):
        self.initial = initial

    async def pieces(self, exchange, pieces):
        async for event in events(pieces):
            bookmark = event.startswith(b'{"type":"BOOKMARK"')
            if bookmark and (self.initial or b"k8s.io/initial-events-end" not in event):
                exchange.fire()
            else:
                yield event


class EndWatch(Action):
    """Ends a watch after a random number of events: in order ("go on"), or as Ended says."""

    def __init__(self, least=0, most=10, end="go on"):
        self.least = least
        self.most = most
        self.end = end

    async def pieces(self, exchange, pieces):
        left = exchange.random.randint(self.least, self.most)
        if left > 0:
            async for event in events(pieces):
                yield event
                left -= 1
                if left == 0:
                    break
            else:
                return
        exchange.fire()
        exchange.abandon = True
        if self.end != "go on":
            raise Ended(self.end)


class ErrorEvent(Action):
    """After so many events of a watch one of type ERROR, and its end, as when history was compacted."""

    def __init__(self, after=0, code=410, reason=None, message="too old resource version"):
        self.after = after
        self.code = code
        self.reason = reason
        self.message = message

    async def pieces(self, exchange, pieces):
        left = self.after
        if left > 0:
            async for event in events(pieces):
                yield event
                left -= 1
                if left == 0:
                    break
            else:
                return
        exchange.fire()
        exchange.abandon = True
        status = status_object(self.code, self.reason, self.message)
        yield json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


class Call(NamedTuple):
    """A request that the proxy has seen, as its log has it."""

    number: int  # from 1, in the order of arrival
    connection: int
    method: str
    path: str  # with parameters
    agent: str
    action: str  # what the plan wanted; empty for nothing
    fired: bool  # whether that came to pass
    status: int  # of the answer that was sent; 0 for none
    performed: bool  # whether the API server answered
    over: bool  # whether the answer was sent to its end, or the connection has ended
    seconds: float  # since it was read

    @property
    def watch(self):
        return is_watch(self.path)


def is_watch(path):
    return re.search(r"[?&]watch=(true|1)\b", path) is not None


def fits(call, method=None, path=None, watch=None, writes=None, agent=None):
    """Whether a Call has this method (or one of these), a path in which this pattern is found, is a
    watch, is a write, has a User-Agent with this in it."""
    methods = (method,) if isinstance(method, str) else method
    if methods and call.method not in methods:
        return False
    if path and not re.search(path, call.path):
        return False
    if watch is not None and is_watch(call.path) != watch:
        return False
    if writes is not None and (call.method in WRITES) != writes:
        return False
    return agent is None or agent in call.agent


class Rule:
    """Applies an action to requests that fit (see fits): after the first `skip` of them, `times` times,
    each with a probability."""

    def __init__(self, action, *, skip=0, times=None, probability=1.0, **wanted):
        self.action = action
        self.skip = skip
        self.times = times
        self.probability = probability
        self.wanted = wanted
        self.seen = 0
        self.used = 0

    def take(self, call, random):
        """The action for this request, or None."""
        if not fits(call, **self.wanted):
            return None
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.used >= self.times):
            return None
        if random.random() >= self.probability:
            return None
        self.used += 1
        return copy.copy(self.action)


def everything(probability, stall_seconds=2.0):
    """A plan of every fault there is, each with this probability for a request it can happen to."""
    calls = [
        *(Answer(status) for status in (401, 403, 409, 410, 500, 503)),
        Answer(504, performed=True),
        too_many_requests(1),
        Reset("before"),
        Reset("after"),
        Delay(stall_seconds / 4),
        Stall(stall_seconds),
        Stall(stall_seconds, after=20),
        Truncate("head", 20),
        Truncate("data", 0),
        Truncate("data", 50),
        Truncate("data", 50, end="reset"),
        Truncate("data", 50, end="close"),
        Truncate("size", 1),
        Truncate("last", 0),
    ]
    watches = [
        EndWatch(0, 20),
        EndWatch(0, 20, end="reset"),
        EndWatch(0, 20, end="fin"),
        ErrorEvent(5),
        DropBookmarks(),
        Stall(stall_seconds, after=200),
    ]
    return [Rule(action, watch=False, probability=probability) for action in calls] + [
        Rule(action, watch=True, probability=probability) for action in watches
    ]
