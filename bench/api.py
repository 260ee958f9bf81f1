"""The few calls of the Svix API that set a benchmark up: plain, blocking, one connection."""

import json
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class Api:
    """A caller with a bearer token. `url` is the server's root, as http://127.0.0.1:8071."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.token = token
        self._http = HTTPConnection(self.host, self.port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def app(self, name: str, urls: list[str]) -> str:
        """Creates an application with an endpoint for each URL; gives its id."""
        app = str(self._post("/api/v1/app", {"name": name})["id"])
        for url in urls:
            self._post(f"/api/v1/app/{app}/endpoint", {"url": url})
        return app

    def is_up(self) -> bool:
        """Whether the server answers a ping."""
        try:
            self._http.request("GET", "/api/v1/health/ping")
            reply = self._http.getresponse()
            reply.read()
        except OSError:
            self._http.close()
            return False
        return reply.status in (200, 204)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }
        self._http.request("POST", path, json.dumps(body), headers)
        reply = self._http.getresponse()
        content = reply.read()
        if reply.status not in (200, 201):
            raise RuntimeError(f"POST {path} answered {reply.status}: {content[:500]!r}")
        answer: dict[str, Any] = json.loads(content)
        return answer
