"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from parallelops.download import PeerTLS

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
# What openssl needs to know before it makes one that is not valid yet.
DATED = """
[ca]
default_ca = one
[one]
database = {folder}/database
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = names
[names]
commonName = supplied
"""


class Authority:
    """A CA, in a folder of its own; by another one if that is named."""

    def __init__(self, folder, *, by=None, days=2):
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.key = folder / "ca.key"
        request = self._request("ca", folder.name)
        extensions = folder / "ca.ext"
        extensions.write_text("basicConstraints=critical,CA:TRUE")
        signed = by._signing if by else ("-signkey", self.key)
        self._run(
            *("x509", "-req", "-in", request, "-days", days, *signed),
            *("-extfile", extensions, "-out", self.ca),
        )

    @property
    def _signing(self):
        return "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial"

    def issue(
        self,
        name="parallelops",
        *,
        days=2,
        more="",
        locked=False,
        early=False,
        new=CURVE,
    ):
        """A certificate for a name, and its key."""
        stem = f"peer{len(list(self.folder.iterdir()))}"
        request = self._request(stem, name, locked=locked, new=new)
        extensions = self.folder / f"{stem}.ext"
        extensions.write_text(more)
        certificate = self.folder / f"{stem}.pem"
        if early:
            self._sign_early(request, certificate)
        else:
            self._run(
                *("x509", "-req", "-in", request, "-days", days),
                *(*self._signing, "-extfile", extensions),
                *("-out", certificate),
            )
        return PeerTLS(
            ca=self.ca,
            certificate=certificate,
            key=self.folder / f"{stem}.key",
        )

    def _request(self, stem, name, *, locked=False, new=CURVE):
        secret = ("-passout", "pass:hunter2") if locked else ("-nodes",)
        request = self.folder / f"{stem}.csr"
        self._run(
            *("req", *new, *secret, "-subj", f"/CN={name}"),
            *("-keyout", self.folder / f"{stem}.key", "-out", request),
        )
        return request

    def _sign_early(self, request, certificate):
        """Make one that is valid in a far year only."""
        settings = self.folder / "settings"
        settings.write_text(DATED.format(folder=self.folder))
        (self.folder / "database").touch()
        self._run(
            *("ca", "-batch", "-notext", "-config", settings),
            *("-cert", self.ca, "-keyfile", self.key, "-in", request),
            *("-startdate", "20980101000000Z", "-enddate", "20990101000000Z"),
            *("-out", certificate),
        )

    @staticmethod
    def _run(*arguments):
        subprocess.run(
            ["openssl", *map(str, arguments)], check=True, capture_output=True
        )
