"""Checkout, assembled for `api`. Its other half, `recovery.run_recovery`, runs beside the projector."""

from server.checkout.adapters import Checkout
from server.checkout.http import handlers
from server.flash_sale.ports import Sales
from server.payments.adapters import SandboxProvider
from server.web.feature import Feature, Parts


def assemble(parts: Parts, sales: Sales) -> Feature:
    """Let buyers pay for their holds, at the sandbox."""
    provider = SandboxProvider(parts.log, parts.clock)
    checkout = Checkout(parts.log, sales, provider, parts.clock, origin="checkout")
    return Feature("checkout", routes=handlers(checkout))
