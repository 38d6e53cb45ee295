"""Finds the plugins that are installed."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules

from twisted.logger import Logger

from twisted_chat import plugins
from twisted_chat.chat.plugins import commands_with
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.interfaces import IChatPlugin


def installed(log: Logger) -> list[IChatPlugin]:
    """Give the plugins in ``twisted_chat/plugins/``, by the names of their modules.

    One that cannot be used is left out, and named in one line of the log.  `getPlugins` would show
    the traceback of a module that cannot be imported, and leave a cache beside the modules.
    """
    usable: list[IChatPlugin] = []
    for module in sorted(found.name for found in iter_modules(plugins.__path__)):
        for plugin in _provided(f"{plugins.__name__}.{module}", log):
            try:
                commands_with([*usable, plugin])
            except ValueError as error:
                log.warn("skipped {error}", error=error)
            else:
                usable.append(plugin)
    if usable:
        log.info("plugins: {names}", names=", ".join(plugin.name for plugin in usable))
    return usable


def _provided(name: str, log: Logger) -> Iterable[IChatPlugin]:
    """Give the plugins of a module; none if it cannot be imported."""
    try:
        found = list(_in(name))
    except BaseException as error:  # it may even want to end the process
        why = sanitize(" ".join(f"{type(error).__name__}: {error}".split()))
        log.warn("skipped plugin {name}: {why}", name=name, why=why)
        return []
    if not found:
        log.warn("skipped plugin {name}: nothing in it provides IChatPlugin", name=name)
    return found


def _in(name: str) -> Iterator[IChatPlugin]:
    for value in vars(import_module(name)).values():
        if IChatPlugin.providedBy(value):
            yield value
