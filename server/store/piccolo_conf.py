"""What Piccolo's own tools read: `PICCOLO_CONF=server.store.piccolo_conf piccolo migrations new titan --auto`.

Importing it connects to nothing and reads no environment.
"""

from piccolo.conf.apps import AppRegistry

from server.store.engine import DB

__all__ = ["APP_REGISTRY", "DB"]

APP_REGISTRY = AppRegistry(apps=["server.store.piccolo_app"])
