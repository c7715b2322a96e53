"""A proxy between a client and the API server that ends TLS on both sides and spoils what its plan says
(faults.py). HTTP/1.1 only. Bearer tokens pass; client certificates can't.

    with FaultProxy(cluster) as proxy:
        identity = cluster.kubeconfig_for("operator", namespace, url=proxy.url)
        proxy.plan(Rule(Answer(500), method="PATCH", times=3))
        ...
        assert len(proxy.calls(method="PATCH")) == 4

It runs in a thread of its own; every method may be called from any other. plan(), partition() and the
rest act on requests that begin, and bytes that pass, from then on."""

import asyncio
import contextlib
import http
import itertools
import random
import re
import socket
import ssl
import struct
import threading
import time

from faults import Action, Call, Ended, fits

HEAD_BYTES = 1 << 20
PIECE_BYTES = 1 << 16


class Message:
    """The head of a request or of an answer, as it came, and where its body ends."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        self.first = lines[0].split(" ", 2)
        pairs = (line.split(":", 1) for line in lines[1:] if line)
        self.headers = {name.strip().lower(): value.strip() for name, value in pairs}
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self.length = int(self.headers.get("content-length", 0))

    @property
    def last(self):
        """Whether the connection ends with this message."""
        return "close" in self.headers.get("connection", "").lower()


async def read_message(reader):
    """None when the connection ended before a first byte."""
    try:
        return Message(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


async def read_payload(reader, message):
    """Yields the payload in pieces; a chunk is one."""
    if message.chunked:
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return
    left = message.length
    while left > 0:
        piece = await reader.read(min(left, PIECE_BYTES))
        if not piece:
            raise ConnectionResetError("the body ended early")
        left -= len(piece)
        yield piece


class Exchange:
    """One request and its answer."""

    def __init__(self, link, number, request):
        self.link = link
        self.proxy = link.proxy
        self.request = request
        self.random = link.proxy.random
        self.began = time.monotonic()
        self.payload = 0
        self.abandon = False  # the API server's answer is not read to its end
        self.answered = False
        self.record = {
            "number": number,
            "connection": link.number,
            "method": request.first[0],
            "path": request.first[1],
            "agent": request.headers.get("user-agent", ""),
            "action": "",
            "fired": False,
            "status": 0,
            "performed": False,
            "over": False,
            "seconds": 0.0,
        }
        action = self.proxy.choose(self.call())
        self.record["action"] = repr(action) if action else ""
        self.action = action or Action()

    def call(self):
        """As it stands now; any thread may ask."""
        record = dict(self.record)
        if not record["over"]:
            record["seconds"] = time.monotonic() - self.began
        return Call(**record)

    def finish(self):
        self.record["seconds"] = time.monotonic() - self.began
        self.record["over"] = True

    # For actions.

    def fire(self):
        self.record["fired"] = True

    async def sleep(self, seconds):
        self.fire()
        await self.link.or_gone(asyncio.sleep(seconds))

    async def write(self, data):
        await self.link.write(data)

    async def answer(self, status, body, headers):
        """An answer of our own; what the API server says is dropped."""
        self.answered = True
        phrase = http.HTTPStatus(status).phrase
        head = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self.record["status"] = status
        await self.write(("\r\n".join(head) + "\r\n\r\n").encode() + body)

    # The way of a request.

    async def run(self):
        """Returns whether the connection may take another request."""
        body = b"".join([piece async for piece in read_payload(self.link.reader, self.request)])
        await self.action.on_request(self)
        if self.answered:
            return not self.request.last
        upstream = await self.link.upstream()
        upstream.write(self.forwarded_head(len(body)) + body)
        await self.link.or_gone(upstream.drain())
        answer = await self.link.or_gone(read_message(upstream.reader))
        if answer is None:
            raise ConnectionResetError("the API server closed")
        self.record["performed"] = True
        await self.proxy.reached("performed", self.call())
        await self.action.on_answer(self)
        if self.answered:
            self.link.leave_upstream()
        else:
            self.record["status"] = int(answer.first[1])
            await self.pass_on(upstream, answer)
        await self.proxy.reached("answered", self.call())
        return not (self.request.last or answer.last)

    def forwarded_head(self, length):
        """As it came, but for a body that has been read whole."""
        lines = self.request.raw.decode("latin-1").split("\r\n")[:-2]
        gone = ("transfer-encoding:", "content-length:", "expect:")
        kept = [line for line in lines if not line.lower().startswith(gone)]
        if length or self.request.first[0] in ("POST", "PUT", "PATCH"):
            kept.append(f"Content-Length: {length}")
        return ("\r\n".join(kept) + "\r\n\r\n").encode("latin-1")

    async def pass_on(self, upstream, answer):
        await self.action.send(self, "head", answer.raw)
        if self.request.first[0] == "HEAD" or answer.first[1] in ("204", "304"):
            return
        source = self.or_gone(read_payload(upstream.reader, answer))
        async for piece in self.action.pieces(self, source):
            await self.send_piece(piece, answer.chunked)
        if answer.chunked:
            await self.action.send(self, "last", b"0\r\n\r\n")
        if self.abandon:
            self.link.leave_upstream()

    async def or_gone(self, pieces):
        """Pieces, until the client goes away: then nobody holds a watch open."""
        while True:
            try:
                piece = await self.link.or_gone(anext(pieces))
            except StopAsyncIteration:
                return
            yield piece

    async def send_piece(self, piece, chunked):
        if chunked:
            await self.action.send(self, "size", b"%x\r\n" % len(piece))
        await self.action.send(self, "data", piece)
        self.payload += len(piece)
        if chunked:
            await self.action.send(self, "pad", b"\r\n")


class Upstream:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.write = writer.write
        self.drain = writer.drain


class Link:
    """A client's connection, and ours to the API server on its behalf."""

    def __init__(self, proxy, number, reader, writer):
        self.proxy = proxy
        self.number = number
        self.reader = reader
        self.writer = writer
        self.up = None
        self.gone = asyncio.ensure_future(writer.wait_closed())

    async def serve(self):
        how = "close"
        try:
            while request := await read_message(self.reader):
                if not await self.serve_one(request):
                    break
        except Ended as ended:
            how = ended.how
        except (OSError, EOFError):
            # The API server went away, or the client in the middle of something.
            how = "reset"
        except Exception as error:  # pylint: disable=broad-except  # ours; the test is told
            self.proxy.errors.append(error)
            how = "reset"
        finally:
            self.end(how)

    async def serve_one(self, request):
        await self.proxy.gate.wait()
        if self.gone.done():  # while the network was gone: it reset the connection, and so nothing of it arrives
            raise Ended("gone")
        if request.headers.get("expect", "").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange = Exchange(self, self.proxy.next_number(), request)
        self.proxy.remember(exchange)
        try:
            return await exchange.run()
        finally:
            exchange.finish()

    async def or_gone(self, work):
        """Awaits work, unless the client goes away first."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self.gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Ended("gone")
        finally:
            task.cancel()

    async def write(self, data):
        await self.proxy.gate.wait()
        if data:
            self.writer.write(data)
            await self.writer.drain()

    async def upstream(self):
        """The connection of the request before, if it is still good."""
        if self.up and not self.up.reader.at_eof() and not self.up.writer.is_closing():
            return self.up
        self.leave_upstream()
        self.up = Upstream(
            *await asyncio.open_connection(
                *self.proxy.upstream_address, ssl=self.proxy.upstream_context, limit=HEAD_BYTES
            )
        )
        return self.up

    def leave_upstream(self):
        if self.up:
            self.up.writer.transport.abort()
            self.up = None

    def end(self, how):
        self.leave_upstream()
        self.gone.cancel()
        if how == "close":
            self.writer.close()
            return
        if how == "reset":
            plain = self.writer.get_extra_info("socket")  # None: it is closed already
            with contextlib.suppress(OSError, AttributeError):
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class KillPoint:
    """Calls kill() when the n-th call that fits reaches a point; see FaultProxy.kill_at."""

    def __init__(self, number, kill, point, wanted):
        self.left = number
        self.kill = kill
        self.point = point
        self.wanted = wanted
        self.call = None
        self.hit = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, point, call):
        with self.lock:
            if point != self.point or self.hit.is_set() or not fits(call, **self.wanted):
                return
            self.left -= 1
            if self.left == 0:
                self.kill()
                self.call = call
                self.hit.set()


class FaultProxy:
    """url: what a kubeconfig names as the server."""

    def __init__(self, cluster, seed=1):
        self.cluster = cluster
        self.random = random.Random(seed)
        self.rules = ()
        self.hook = None
        self.lock = threading.Lock()
        self.history = []
        self.numbers = itertools.count(1)
        self.links = set()
        self.errors = []
        self.upstream_address = cluster.client.host, cluster.client.port
        self.upstream_context = ssl.create_default_context(cafile=cluster.trusted)
        self.upstream_context.set_alpn_protocols(["http/1.1"])
        self.present(cluster.authorities[0])
        self.listener = self.listen(0)
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.main()), daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.ending.set)
        self.thread.join(10)
        assert not self.errors, self.errors

    # ---- what a test says ----

    def plan(self, *rules):
        """Replaces the plan; without rules nothing is spoiled."""
        self.rules = rules

    def partition(self):
        """From now on no byte passes either way, and no connection is accepted: the network is gone,
        and nobody is told."""
        self.run(self.gate.clear)

    def heal(self):
        """What was held back by partition() goes on."""
        self.run(self.gate.set)

    def reset_all(self):
        """Resets every open connection."""
        self.run(lambda: [link.end("reset") for link in list(self.links)])

    def refuse(self):
        """Resets every connection, and the port refuses new ones until accept()."""
        self.run(self.close_listener)

    def accept(self):
        self.run(self.open_listener)

    def present(self, authority):
        """New connections meet a certificate of this authority."""
        pair = authority.issue(f"fault-proxy-{time.monotonic_ns()}", hosts=["localhost", "127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        context.set_alpn_protocols(["http/1.1"])
        self.context = context

    def on_call(self, hook):
        """hook(point, call) is called for every request, in a thread of its own, while the request
        waits: at "performed" the API server has answered, and the client has no byte of that; at
        "answered" all was sent. None: no more."""
        self.hook = hook

    def kill_at(self, number, kill, point="performed", **wanted):
        """Calls kill() when the number-th call from now that fits (faults.fits) reaches the point; the
        KillPoint has .hit, an event, and .call. Takes the place of on_call()'s hook."""
        self.hook = KillPoint(number, kill, point, wanted)
        return self.hook

    def calls(self, fired=None, over=None, **wanted):
        """What was asked until now, oldest first; see faults.fits. fired: only calls that were spoiled,
        or were not. over: only those that are over, or are not, such as a watch that goes on."""
        with self.lock:
            history = list(self.history)
        return [
            call
            for call in (exchange.call() for exchange in history)
            if fits(call, **wanted) and fired in (None, call.fired) and over in (None, call.over)
        ]

    def forget(self):
        """Empties the log."""
        with self.lock:
            self.history.clear()

    def summary(self):
        """{action: how often it fired}."""
        counts = {}
        for call in self.calls(fired=True):
            name = re.match(r"\w+", call.action)[0]
            counts[name] = counts.get(name, 0) + 1
        return counts

    # ---- within the thread ----

    def run(self, work):
        """Calls work in the loop's thread and waits for it."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (work(), done.set()))
        assert done.wait(10)

    def listen(self, port):
        made = socket.create_server(("127.0.0.1", port), backlog=128)
        made.setblocking(False)
        return made

    def close_listener(self):
        if self.acceptor:
            self.acceptor.cancel()
            self.acceptor = None
            self.listener.close()
        for link in list(self.links):
            link.end("reset")

    def open_listener(self):
        if not self.acceptor:
            self.listener = self.listen(self.port)
            self.acceptor = asyncio.ensure_future(self.accept_all())

    async def main(self):
        self.loop = asyncio.get_running_loop()
        # Broken connections are its business, not news.
        self.loop.set_exception_handler(lambda *_: None)
        self.gate = asyncio.Event()
        self.gate.set()
        self.ending = asyncio.Event()
        self.tasks = set()
        self.acceptor = asyncio.ensure_future(self.accept_all())
        self.ready.set()
        await self.ending.wait()
        self.close_listener()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def accept_all(self):
        for number in itertools.count(1):
            await self.gate.wait()
            plain, _ = await self.loop.sock_accept(self.listener)
            # What is held back would be slow, and lost before a reset.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.ensure_future(self.serve(number, plain))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, number, plain):
        await self.gate.wait()
        reader = asyncio.StreamReader(limit=HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self.loop.connect_accepted_socket(lambda: protocol, plain, ssl=self.context)
        except OSError:  # such as a client that does not trust us
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self.loop)
        link = Link(self, number, reader, writer)
        self.links.add(link)
        try:
            await link.serve()
        finally:
            self.links.discard(link)

    def next_number(self):
        return next(self.numbers)

    def choose(self, call):
        for rule in self.rules:
            action = rule.take(call, self.random)
            if action:
                return action
        return None

    async def reached(self, point, call):
        if hook := self.hook:
            await self.loop.run_in_executor(None, hook, point, call)

    def remember(self, exchange):
        with self.lock:
            self.history.append(exchange)
