"""As much of Keystone as glance_store needs to sign in to a Swift.

It knows no other way. The tokens are those of Swift's own tempauth, which is
behind this filter in the pipeline.
"""

from __future__ import annotations

import json


def factory(*_, **__):
    """The filter, as paste wants it."""
    return Keystone


class Keystone:
    """Answers ``POST /v3/auth/tokens``, and hands on the rest."""

    def __init__(self, app):
        self._app = app

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/v3/auth/tokens":
            return self._app(environ, start_response)
        length = int(environ["CONTENT_LENGTH"])
        asked = json.loads(environ["wsgi.input"].read(length))["auth"]
        user = asked["identity"]["password"]["user"]
        project = asked["scope"]["project"]["name"]
        headers = {}

        def answered(status, pairs, *_):
            headers.update((name.lower(), value) for name, value in pairs)
            headers["status"] = status

        asking = {
            **environ,
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/auth/v1.0",
            "HTTP_X_AUTH_USER": f"{project}:{user['name']}",
            "HTTP_X_AUTH_KEY": user["password"],
        }
        body = b"".join(self._app(asking, answered))
        if not headers["status"].startswith("200"):
            start_response(headers["status"], list(headers.items()))
            return [body]
        start_response(
            "201 Created",
            [
                ("Content-Type", "application/json"),
                ("X-Subject-Token", headers["x-auth-token"]),
            ],
        )
        endpoint = {
            "id": "1",
            "interface": "public",
            "region": "here",
            "region_id": "here",
            "url": headers["x-storage-url"],
        }
        token = {
            "methods": ["password"],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "user": {"id": user["name"], "name": user["name"]},
            "project": {"id": project, "name": project},
            "catalog": [
                {
                    "id": "1",
                    "type": "object-store",
                    "name": "swift",
                    "endpoints": [endpoint],
                }
            ],
        }
        return [json.dumps({"token": token}).encode()]
