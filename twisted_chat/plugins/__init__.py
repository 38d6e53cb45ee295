"""Where plugins are: ``twisted_chat/plugins/*.py`` of any installed distribution.

Others have no ``__init__.py`` in their directory of that name: there is this one.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
