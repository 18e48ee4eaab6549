"""Sees what SQLite does to files: each write, truncation, sync and removal.

The methods of SQLite's own files are wrapped, in this process, by way of
ctypes: https://sqlite.org/c3ref/vfs.html, https://sqlite.org/c3ref/io_methods
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_int64,
    c_void_p,
)

__all__ = ["library", "watch"]

_CLOSE = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
# Not c_char_p, which would be a copy: SQLite keeps the pointer to the name.
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class _Methods(Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("others", c_void_p * 13),
    )


class _System(Structure):
    """sqlite3_vfs, as far as it is of interest."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_name", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
    )


class _File(Structure):
    """sqlite3_file."""

    _fields_ = (("methods", POINTER(_Methods)),)


def _text(address):
    return os.fsdecode(ctypes.string_at(address))


_kept = []  # what SQLite has pointers to


def library():
    """The library that Python's own module uses; None if it is inside it."""
    names = {"libsqlite3.so.0"}
    if hasattr(_sqlite3, "__file__"):
        names.add(_sqlite3.__file__)
    for name in names:
        try:
            found = ctypes.CDLL(name)
            found.sqlite3_vfs_find.restype = POINTER(_System)
            found.sqlite3_libversion.restype = c_char_p
        except (OSError, AttributeError):
            continue
        if found.sqlite3_libversion().decode() == _sqlite3.sqlite_version:
            return found
    return None


def watch(tell):
    """From now on call ``tell(event, name, offset, data)`` before each.

    Events are "write", "truncate", "sync" and "remove".
    """
    system = library().sqlite3_vfs_find(None).contents
    names = {}
    wrapped = {}

    def wrap(address):
        theirs = ctypes.cast(address, POINTER(_Methods)).contents
        ours = _Methods.from_buffer_copy(theirs)
        real_write = _WRITE(theirs.write)
        real_truncate = _TRUNCATE(theirs.truncate)
        real_sync = _SYNC(theirs.sync)

        def write(file, data, size, offset):
            tell("write", names[file], offset, ctypes.string_at(data, size))
            return real_write(file, data, size, offset)

        def truncate(file, size):
            tell("truncate", names[file], size, b"")
            return real_truncate(file, size)

        def sync(file, flags):
            tell("sync", names[file], 0, b"")
            return real_sync(file, flags)

        callbacks = (_WRITE(write), _TRUNCATE(truncate), _SYNC(sync))
        ours.write, ours.truncate, ours.sync = (
            ctypes.cast(callback, c_void_p).value for callback in callbacks
        )
        _kept.append((ours, callbacks))
        return ours

    real_open, real_delete = _OPEN(system.open), _DELETE(system.delete)

    def open_(vfs, name, file, flags, out):
        result = real_open(vfs, name, file, flags, out)
        opened = ctypes.cast(file, POINTER(_File)).contents
        if result == 0 and name and opened.methods:
            names[file] = _text(name)
            address = ctypes.addressof(opened.methods.contents)
            if address not in wrapped:
                wrapped[address] = wrap(address)
            opened.methods = ctypes.pointer(wrapped[address])
        return result

    def delete(vfs, name, sync):
        tell("remove", _text(name), 0, b"")
        return real_delete(vfs, name, sync)

    hooks = (_OPEN(open_), _DELETE(delete))
    _kept.append((hooks, byref(system)))
    system.open, system.delete = (
        ctypes.cast(hook, c_void_p).value for hook in hooks
    )
