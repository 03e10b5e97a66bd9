"""Accounts, assembled."""

from litestar import Router
from litestar.di import Provide

from server.accounts.http import HANDLERS
from server.accounts.passwords import Passwords
from server.accounts.revocation_feed import RevocationFeed
from server.accounts.service import Accounts
from server.web.feature import Feature, Parts
from server.web.revocations import Revocations


def assemble(parts: Parts, revocations: Revocations, passwords: Passwords) -> Feature:
    """Assemble the feature."""
    feed = RevocationFeed(parts.log, parts.bus, revocations, parts.clock, parts.config.cell)
    accounts = Accounts(
        log=parts.log,
        clock=parts.clock,
        issuer=parts.keyring.issuer(),
        passwords=passwords,
        revocations=revocations,
        announce=feed.announce,
    )
    router = Router(
        path="/",
        route_handlers=[*HANDLERS],
        dependencies={
            "accounts": Provide(lambda: accounts, sync_to_thread=False),
            "limits": Provide(lambda: parts.limits, sync_to_thread=False),
            "jwk_set": Provide(parts.keyring.jwks, sync_to_thread=False),
        },
    )
    return Feature("accounts", routes=(router,), background=(feed.run,))
