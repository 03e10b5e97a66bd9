"""Projections of this server: the engine's protocol over this store's connections."""

from cells.engine import project
from server.store.engine import Connection

Recorded = project.Recorded
Projection = project.Projection[Connection]
