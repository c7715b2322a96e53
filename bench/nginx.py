"""nginx as the cases need it: a server that says one thing, a reverse proxy, a collector that forgets."""

import pathlib

from harness import Process, Unmeasured, fetch, free_port

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/{name}.pid;
error_log {directory}/{name}.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 8m;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  {upstream}
  server {{
    listen 127.0.0.1:{port};
    location / {{ {location} }}
  }}
}}
"""

UPSTREAM = "upstream back {{ server {back}; keepalive 512; keepalive_requests 1000000000; }}"
PASS = 'proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";'


def start(bench, name, core, location, says, upstream=""):
    """nginx on this core, once it says what it should; its address is in .http."""
    port, path = free_port(), pathlib.Path(bench.directory) / f"{name}.conf"
    path.write_text(
        CONFIGURATION.format(directory=bench.directory, name=name, port=port, location=location, upstream=upstream),
        encoding="utf-8",
    )
    try:
        process = Process(["/usr/sbin/nginx", "-c", path, "-p", bench.directory], core, bench.directory)
    except FileNotFoundError as error:
        raise Unmeasured("nginx is not installed; ./dev setup bench installs it") from error
    process.http = f"http://127.0.0.1:{port}"
    try:
        process.wait_until(lambda: fetch(process.http) == says, "answering")
    except Unmeasured:
        process.__exit__()
        raise
    return process


def nginx(bench):
    """A server of three bytes, on the server's core."""
    return start(bench, "nginx", bench.core, 'return 200 "abc";', "abc")


def nginx_proxy(bench, back):
    """A reverse proxy in front of a server; both on the server's core."""
    return start(bench, "proxy", bench.core, PASS, "abc", UPSTREAM.format(back=back.http.removeprefix("http://")))


def sink(bench):
    """Takes any POST and forgets it. On the load's core: a collector is elsewhere."""
    return start(bench, "sink", bench.load_core, 'return 200 "{}";', "{}")
