# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory of GStreamer and GLib as numpy arrays, without a copy.

PyGObject gives bytes, which are a copy. Here the pointer of the wrapper is
taken (the field `boxed` of PyGBoxed, which its public header declares first
after the head of every object) and mapped by the C functions. An array holds
what it looks into: the mapping ends when the last array over it is gone.
"""

import ctypes

import numpy as np

from ._library import Gst

_gst = ctypes.CDLL("libgstreamer-1.0.so.0")
_glib = ctypes.CDLL("libglib-2.0.so.0")


class _MapInfo(ctypes.Structure):
    _fields_ = [
        ("memory", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("maxsize", ctypes.c_size_t),
        ("user_data", ctypes.c_void_p * 4),
        ("reserved", ctypes.c_void_p * 4),
    ]


_gst.gst_buffer_get_size.argtypes = [ctypes.c_void_p]
_gst.gst_buffer_get_size.restype = ctypes.c_size_t
_gst.gst_buffer_map.argtypes = [ctypes.c_void_p, ctypes.POINTER(_MapInfo), ctypes.c_int]
_gst.gst_buffer_map.restype = ctypes.c_int
_gst.gst_buffer_map_range.argtypes = [
    ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.POINTER(_MapInfo), ctypes.c_int,
]
_gst.gst_buffer_map_range.restype = ctypes.c_int
_gst.gst_buffer_unmap.argtypes = [ctypes.c_void_p, ctypes.POINTER(_MapInfo)]
_gst.gst_buffer_unmap.restype = None
_glib.g_bytes_get_data.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
_glib.g_bytes_get_data.restype = ctypes.c_void_p

_READ, _WRITE = int(Gst.MapFlags.READ), int(Gst.MapFlags.WRITE)


def _pointer(boxed):
    return ctypes.c_void_p.from_address(id(boxed) + object.__basicsize__).value


def _check_layout():
    """Better an error at import than memory that is somebody else's."""
    for size in 1, 12345:
        buffer = Gst.Buffer.new_allocate(None, size, None)
        if f"{_pointer(buffer):x}" not in repr(buffer) or (
            _gst.gst_buffer_get_size(_pointer(buffer)) != size
        ):
            raise ImportError("gst_sae does not know this PyGObject's objects")


_check_layout()


class _Mapping:
    """What an array over a mapped buffer keeps alive."""

    def __init__(self, buffer, flags, place=None):
        self._buffer, self._info = buffer, _MapInfo()
        pointer, info = _pointer(buffer), ctypes.byref(self._info)
        self._mapped = (
            _gst.gst_buffer_map(pointer, info, flags)
            if place is None
            else _gst.gst_buffer_map_range(pointer, place, 1, info, flags)
        )
        if not self._mapped:
            raise MemoryError("the buffer cannot be mapped")
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (self._info.size,),
            # numpy takes no null pointer, not even for no bytes
            "data": (self._info.data or id(self), not flags & _WRITE),
        }

    def __del__(self):
        if getattr(self, "_mapped", False):
            _gst.gst_buffer_unmap(_pointer(self._buffer), ctypes.byref(self._info))


class _BytesHolder:
    def __init__(self, data):
        size = ctypes.c_size_t()
        pointer = _glib.g_bytes_get_data(_pointer(data), ctypes.byref(size))
        self._data = data
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size.value,),
            "data": (pointer or id(self), True),
        }


def view_memory(buffer, place):
    """The bytes of the memory at @place of a Gst.Buffer, read-only."""
    return np.asarray(_Mapping(buffer, _READ, place))


def view_buffer(buffer):
    """All bytes of a Gst.Buffer, read-only."""
    return np.asarray(_Mapping(buffer, _READ))


def view_bytes(data, dtype):
    """A GLib.Bytes, read-only."""
    return np.asarray(_BytesHolder(data)).view(dtype)


def new_buffer(shape, dtype, fill):
    """A Gst.Buffer of an array that @fill(array) writes into."""
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    buffer = Gst.Buffer.new_allocate(None, size, None)
    if buffer is None:
        raise MemoryError(f"no memory for {size} bytes")
    if size:
        mapping = _Mapping(buffer, _WRITE)
        fill(np.asarray(mapping).view(dtype).reshape(shape))
        del mapping
    return buffer
