"""The reference, as the code has it: options, commands, interfaces, metrics."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from zope.interface import Interface
from zope.interface.interface import InterfaceClass, Method

from twisted_chat import interfaces
from twisted_chat.chat.commands import COMMANDS, Command
from twisted_chat.tap import Options

SHORT = re.compile(r"<InterfaceClass [\w.]*?(\w+)>|\b(?:[A-Za-z_]\w*\.)+(\w+)")


def option(options: Options, name: str) -> Iterator[str]:
    """Describe an option of ``twistd tcpchat`` in reStructuredText."""
    takes_value = f"{name}=" in options.longOpt
    settable = options.settable()
    words, default = told(options, name)
    letters = [one for one, other in options.synonyms.items() if other == name and len(one) == 1]
    names = [f"--{name}", *(f"-{letter}" for letter in letters)]
    yield f".. option:: {', '.join(f'{one} VALUE' if takes_value else one for one in names)}"
    yield ""
    yield f"   {plain(words[0].upper() + words[1:])}."
    if default:
        yield f"   Default: {plain(default)}."
    if settable.get(name):
        yield "   Repeatable."
    if name not in settable:
        yield "   On the command line alone."
    yield ""


def told(options: Options, name: str) -> tuple[str, str]:
    """Give what ``--help`` tells of an option, and the default, empty if there is none."""
    words = " ".join(options.docs[name].split()).replace("; repeatable", "").removesuffix(".")
    words, _, default = words.removesuffix("]").partition(" [default: ")
    if default:
        return words, "" if default == "none" else default
    value = options.defaults.get(name) if f"{name}=" in options.longOpt else None
    return words, "" if value is None else str(value)


def command(one: Command) -> Iterator[str]:
    """Describe a command in reStructuredText."""
    yield f".. describe:: {one.usage}"
    yield ""
    yield f"   {plain(one.help[0].upper() + one.help[1:])}."
    if one.aliases:
        yield f"   Also {', '.join(f'``/{alias}``' for alias in one.aliases)}."
    yield ""


def metric(one: Any) -> Iterator[str]:
    """Describe a metric in reStructuredText."""
    labels = f"{{{', '.join(one.labels)}}}" if one.labels else ""
    yield f".. describe:: {one.name}{labels}"
    yield ""
    yield f"   {one.kind.capitalize()}: {plain(one.help)}."
    yield ""


def interface(one: InterfaceClass) -> Iterator[str]:
    """Describe an interface in reStructuredText."""
    bases = ", ".join(base.getName() for base in one.getBases() if base is not Interface)
    yield from described("class", f"{one.getName()}({bases})", one.getDoc())
    for name in one.names():  # in the order in which they are written
        member = one[name]
        takes = member.getSignatureString() if isinstance(member, Method) else ""
        kind = "method" if isinstance(member, Method) else "attribute"
        yield from (f"   {line}" for line in described(kind, name + takes, member.getDoc()))


def described(kind: str, signature: str, words: str) -> Iterator[str]:
    """Describe something of Python."""
    yield f".. py:{kind}:: {signature}"
    yield ""
    yield from (f"   {line}" for line in cleandoc(words).splitlines())
    yield ""


def plain(words: str) -> str:
    """Have no character of a text mean anything to reStructuredText."""
    return re.sub(r"([\\*`_|:])", r"\\\1", words)


class ChatOptions(SphinxDirective):
    """All options of ``twistd tcpchat``, in the order of the alphabet."""

    def run(self) -> list[nodes.Node]:
        options = Options()
        names = sorted(one.removesuffix("=") for one in options.longOpt)
        lines = [".. program:: tcpchat", ""]
        for name in names:
            lines += option(options, name)
        return self.parse_text_to_nodes("\n".join(lines))


class ChatInterfaces(SphinxDirective):
    """All interfaces of the edges of the core."""

    def run(self) -> list[nodes.Node]:
        lines = [".. py:currentmodule:: twisted_chat.interfaces", ""]
        for one in vars(interfaces).values():
            if isinstance(one, InterfaceClass) and one.__module__ == interfaces.__name__:
                lines += interface(one)
        return self.parse_text_to_nodes("\n".join(lines))


class ChatCommands(SphinxDirective):
    """All commands, in the order of ``/help``."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for one in dict.fromkeys(COMMANDS.values()):
            lines += command(one)
        return self.parse_text_to_nodes("\n".join(lines))


def shorten(*event: Any) -> tuple[str | None, ...]:
    """Name the types in a signature without their modules, interfaces too."""
    *_, arguments, returned = event
    return tuple(one and SHORT.sub(r"\1\2", one) for one in (arguments, returned))


class ChatMetrics(SphinxDirective):
    """All metrics of ``--metrics``, in the order of the table in the code."""

    def run(self) -> list[nodes.Node]:
        from twisted_chat.doors.metrics import METRICS  # noqa: PLC0415  # it is an extra

        lines: list[str] = []
        for one in METRICS:
            lines += metric(one)
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx know the directives."""
    app.connect("autodoc-process-signature", shorten)
    app.add_directive("chat-options", ChatOptions)
    app.add_directive("chat-commands", ChatCommands)
    app.add_directive("chat-interfaces", ChatInterfaces)
    app.add_directive("chat-metrics", ChatMetrics)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
