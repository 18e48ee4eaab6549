"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from parallelops.download import PeerTLS

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Authority:
    """A CA, in a folder of its own."""

    def __init__(self, folder):
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.key = folder / "ca.key"
        self._run(
            *("req", "-x509", *CURVE, "-nodes", "-days", "2"),
            *("-subj", f"/CN={folder.name}"),
            *("-keyout", self.key, "-out", self.ca),
        )

    def issue(self, name="parallelops", *, days=2, more="", locked=False):
        """A certificate for a name, and its key."""
        stem = f"peer{len(list(self.folder.iterdir()))}"
        request, extensions, certificate, key = (
            self.folder / f"{stem}.{kind}"
            for kind in ("csr", "ext", "pem", "key")
        )
        extensions.write_text(more)
        secret = ("-passout", "pass:hunter2") if locked else ("-nodes",)
        self._run(
            *("req", *CURVE, *secret, "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        self._run(
            *("x509", "-req", "-in", request, "-days", days),
            *("-CA", self.ca, "-CAkey", self.key, "-CAcreateserial"),
            *("-extfile", extensions, "-out", certificate),
        )
        return PeerTLS(ca=self.ca, certificate=certificate, key=key)

    @staticmethod
    def _run(*arguments):
        subprocess.run(
            ["openssl", *map(str, arguments)], check=True, capture_output=True
        )
