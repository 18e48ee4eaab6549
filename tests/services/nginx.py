"""A real nginx on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil

from tests.services.processes import Server

MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ }}
http {{
    log_format short '$request_method $status';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/temp;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""

# 429 above a rate of DELETE requests, in front of a server at a port.
LIMIT = """
map $request_method $limited {{ DELETE all; default ""; }}
limit_req_zone $limited zone=deletes:1m rate={rate}r/s;
limit_req_status 429;
server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location / {{
        limit_req zone=deletes burst={burst} nodelay;
        proxy_pass http://127.0.0.1:{behind};
        proxy_set_header Host $http_host;
    }}
}}
"""


def missing():
    """Why there is none; empty if there is."""
    if shutil.which("nginx") is None:
        return "nginx is not installed: apt install nginx"
    return ""


@contextlib.contextmanager
def running(folder, port, http):
    """With these lines of configuration, for a block.

    Args:
        folder: made, and empty; ``access.log`` in it has the method and the
            status of each request.
        port: at which one of its servers listens.
        http: what goes into the block ``http``.
    """
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(MAIN.format(folder=folder, user=user, http=http))
    server = Server(
        ["nginx", "-p", folder, "-c", config],
        port,
        folder / "output.log",
    )
    try:
        server.wait()
        yield
    finally:
        server.stop()
