#!/usr/bin/python3
"""bad-registry.py PORT REGISTRY KIND [TIMES]: a registry that passes requests on
to another one, and misbehaves the first TIMES (default: for ever) it is asked
for a layer: "error" answers 500, "truncate" breaks off in the middle, "slow"
sends a little at a time."""

import http.client
import http.server
import sys
import threading
import time

port, registry, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
left = int(sys.argv[4]) if len(sys.argv) > 4 else 1 << 30
lock = threading.Lock()
SMALL = 8192  # configurations are smaller, layers are not


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global left
        there = http.client.HTTPConnection(registry)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        there.request(self.command, self.path, headers=headers)
        answer = there.getresponse()
        body = answer.read()
        bad = False
        if "/blobs/" in self.path and len(body) > SMALL and self.command == "GET":
            with lock:
                bad, left = left > 0, left - 1
        if bad and kind == "error":
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "accept-ranges"):
                self.send_header(name, value)
        self.end_headers()
        if bad and kind == "truncate":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        if bad and kind == "slow":
            for i in range(0, len(body), SMALL):
                self.wfile.write(body[i : i + SMALL])
                self.wfile.flush()
                time.sleep(0.05)
            return
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
