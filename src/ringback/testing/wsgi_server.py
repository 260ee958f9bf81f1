"""A WSGI app behind the standard library's server.

    python -m ringback.testing.wsgi_server module:app 8000

Its requests are served in threads, as those of a real server are. Only for tests.
"""

import sys
from importlib import import_module
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """Its threads end with the process."""

    daemon_threads = True


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    app = getattr(import_module(module), name)
    make_server("127.0.0.1", int(sys.argv[2]), app, ThreadingServer).serve_forever()
