"""How Sphinx makes the documentation: ``python -m sphinx -W -b html docs build/docs``."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Twisted chat"
author = "The Twisted chat authors"
release = version_of("twisted-chat")
extensions = ["sphinx.ext.autodoc", "links", "reference"]
html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
highlight_language = "none"  # what is in no language is no Python either
smartquotes = False  # -- is no dash in an option
default_role = "py:obj"

autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
