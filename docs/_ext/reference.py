"""The reference, as the code has it: ``chat-options`` and ``chat-commands``."""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from twisted_chat.chat.commands import COMMANDS, Command
from twisted_chat.tap import Options


def option(options: Options, name: str) -> Iterator[str]:
    """Describe an option of ``twistd tcpchat`` in reStructuredText."""
    takes = f"{name}=" in options.longOpt
    names = [f"-{one}" for one, other in options.synonyms.items() if other == name and len(one) == 1]
    value = " VALUE" if takes else ""
    yield f".. option:: {', '.join(f'{one}{value}' for one in (f'--{name}', *names))}"
    yield ""
    words = re.sub(r"; repeatable", "", " ".join(options.docs[name].split()))
    words, _, default = words.removesuffix("]").partition(" [default: ")
    default = default or str(options.defaults.get(name) or "")
    yield f"   {plain(words)}."
    if takes and default:
        yield f"   Default: {plain(default)}."
    settable = options.settable()
    if settable.get(name):
        yield "   Repeatable."
    if takes and name not in settable:
        yield "   On the command line alone."
    yield ""


def command(one: Command) -> Iterator[str]:
    """Describe a command in reStructuredText."""
    yield f".. describe:: {plain(one.usage)}"
    yield ""
    yield f"   {plain(one.help)}."
    if one.aliases:
        yield f"   Also {', '.join(f'``/{alias}``' for alias in one.aliases)}."
    yield ""


def plain(words: str) -> str:
    """Have no character of a text mean anything to reStructuredText."""
    return re.sub(r"([\\*`_|:])", r"\\\1", words[:1].upper() + words[1:])


class ChatOptions(SphinxDirective):
    """All options of ``twistd tcpchat``, in the order of the alphabet."""

    def run(self) -> list[nodes.Node]:
        options = Options()
        names = sorted(one.removesuffix("=") for one in options.longOpt)
        lines = [".. program:: tcpchat", ""]
        for name in names:
            lines += option(options, name)
        return self.parse_text_to_nodes("\n".join(lines))


class ChatCommands(SphinxDirective):
    """All commands, in the order of ``/help``."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for one in dict.fromkeys(COMMANDS.values()):
            lines += command(one)
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("chat-options", ChatOptions)
    app.add_directive("chat-commands", ChatCommands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
