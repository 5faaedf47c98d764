# SPDX-License-Identifier: LGPL-2.1-or-later
"""The C libraries through GObject introspection."""

import pathlib

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    gi.require_version("Sae", "1.0")
    from gi.repository import GLib, Gst, GstApp, Sae  # noqa: F401
except (ImportError, ValueError) as error:
    raise ImportError(
        f"gst_sae needs PyGObject and the typelibs of GStreamer and gst-sae: {error}. "
        "On Debian: apt install python3-gi gir1.2-gst-plugins-base-1.0; where gst-sae is "
        "installed outside of /usr, GI_TYPELIB_PATH names its folder girepository-1.0"
    ) from error

if not Gst.is_initialized():
    Gst.init(None)


class Error(RuntimeError):
    """What an element or the library says is wrong."""


def call(function, *arguments):
    """function(*arguments), whose GLib.Error becomes an Error."""
    try:
        return function(*arguments)
    except GLib.Error as error:
        raise Error(error.message) from None


def _load_plugin():
    """From beside the typelib, where GStreamer may not search."""
    path = gi.Repository.get_default().get_typelib_path("Sae")
    plugin = pathlib.Path(path).parents[1] / "gstreamer-1.0" / "libgstsae.so"
    if plugin.exists():
        Gst.Plugin.load_file(str(plugin))


if Gst.ElementFactory.find("saetrainer") is None:
    _load_plugin()


def make_element(name):
    element = Gst.ElementFactory.make(name)
    if element is None:
        raise Error(
            f"no element {name}: expected its plugin where GStreamer searches, or in a "
            "folder that GST_PLUGIN_PATH names"
        )
    return element


def message_of(message):
    """The text of an error or warning message, with its detail."""
    parse = (
        message.parse_error if message.type == Gst.MessageType.ERROR
        else message.parse_warning
    )
    error, debug = parse()
    # "file.c(12): function (): /element:\ndetail"
    detail = (debug or "").partition("\n")[2]
    return f"{error.message}\n{detail}" if detail else error.message
