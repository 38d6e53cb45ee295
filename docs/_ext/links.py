"""Links between pages, as code hosts follow them too: ```the protocol <protocol.rst#names>`_``.

A link to a page becomes one to what Sphinx makes of it; one to another file of the repository, a
download.  A page, a heading or a file that is not there is a warning.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)


def is_local(link: nodes.reference) -> bool:
    """Tell whether a link leads to a file of the repository."""
    return "refuri" in link and "://" not in link["refuri"] and not link.get("internal")


class Downloads(SphinxTransform):
    """Has files that are no pages copied along."""

    default_priority = 400  # before their names are collected

    def apply(self, **_: Any) -> None:
        here = Path(self.document["source"]).parent
        for link in [*self.document.findall(nodes.reference)]:
            if not is_local(link):
                continue
            file = (here / link["refuri"].partition("#")[0]).resolve()
            if file.suffix != ".rst" or not file.is_relative_to(self.app.srcdir):
                download = addnodes.download_reference("", "", reftarget=link["refuri"])
                download += nodes.inline("", link.astext())
                link.replace_self(download)


class Pages(SphinxPostTransform):
    """Has links to pages lead to what is made of them."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        for link in self.document.findall(nodes.reference):
            if is_local(link):
                self._follow(link)

    def _follow(self, link: nodes.reference) -> None:
        file, _, heading = link["refuri"].partition("#")
        here = Path(self.env.doc2path(self.env.docname)).parent
        page = self.env.path2doc(str((here / file).resolve()))
        if page not in self.env.found_docs:
            logger.warning("there is no page %s", file, location=link)
            return
        if heading and heading not in self.env.get_doctree(page).ids:
            logger.warning("there is no heading %s", link["refuri"], location=link)
        uri = self.app.builder.get_relative_uri(self.env.docname, page)
        link["refuri"] = f"{uri}#{heading}" if heading else uri
        link["internal"] = True


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx follow links."""
    app.add_transform(Downloads)
    app.add_post_transform(Pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
