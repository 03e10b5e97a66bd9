"""A shop with something in every state, for tests that go through all of the API."""

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.conftest import PASSWORD, Cell

PRICE = {"amount": 1250, "currency": "EUR"}
PRODUCT = {"title": "Lamp", "price": PRICE, "stock": 50}
# A name that never resolves: nothing is sent anywhere.
WEBHOOK = {"url": "https://hooks.invalid/titan", "events": ["payment.voided"]}


def browser() -> dict[str, Any]:
    """Make the subscription of a new browser, with a push service that is nowhere."""
    point = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    keys = {"p256dh": point, "auth": os.urandom(16)}
    return {
        "endpoint": f"https://push.invalid/{os.urandom(8).hex()}",
        "keys": {name: base64.urlsafe_b64encode(key).rstrip(b"=").decode() for name, key in keys.items()},
    }


ON_THE_WAY = {
    "draft": (),
    "armed": ("arm",),
    "open": ("arm", "open"),
    "paused": ("arm", "open", "pause"),
}
STEPS = {
    "armSale": "draft",
    "openSale": "armed",
    "pauseSale": "open",
    "resumeSale": "paused",
    "endSale": "open",
    "killSale": "open",
    "opsArmSale": "draft",
    "opsOpenSale": "armed",
    "opsPauseSale": "open",
    "opsResumeSale": "paused",
    "opsEndSale": "open",
    "opsKillSale": "open",
    "opsThrottleSale": "open",
}
"""The operations that change a sale, and the state that each begins at."""

OPS_BODIES = {
    "opsEndSale": {"reason": "over"},
    "opsKillSale": {"reason": "fraud"},
    "opsThrottleSale": {"per_second": 5},
    "opsModerateRoom": {"action": "unlock"},
}
"""What operators' actions need to be sent."""


class Shop:
    """A merchant, a buyer, others of both kinds, and what is theirs.

    `tokens` are credentials by name; "nobody" has none.
    """

    def __init__(self, cell: Cell) -> None:
        self.client = httpx.Client(base_url=cell.api, timeout=20)
        self._cell = cell
        self.keys = Path(cell.config.data) / "keys"
        self.users: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {"nobody": ""}
        self.doomed_operator = "nobody"

    def open(self) -> None:
        for who, role in (("merchant", "merchant"), ("buyer", "buyer")):
            self.register(who, role)
            self.register(f"other {who}", role)
        self.product = self.new_product()
        self.sale = self.new_sale("open")
        self.order = self.make(
            "buyer", f"/holds/{self.new_hold()}/confirm", {"payment_method": "pm_ok"}, key=os.urandom(8).hex()
        )
        talk = {"product_id": self.product, "text": "Hello?"}
        self.conversation = self.make("buyer", "/conversations", talk)["id"]
        self.browser = browser()
        self.subscription = self.make("buyer", "/push/subscriptions", self.browser)["id"]
        self.webhook, self.doomed_webhook = (
            self.make("merchant", "/webhooks", WEBHOOK)["id"] for _ in range(2)
        )

    def operators(self) -> None:
        """Make an operator of each rank, and one to be revoked."""
        for role in ("viewer", "operator", "admin"):
            self.operator(role)
        self.doomed_operator = self.operator("viewer", "doomed")

    def register(self, who: str, role: str) -> dict[str, Any]:
        body = {
            "email": f"{os.urandom(6).hex()}@example.com",
            "password": PASSWORD,
            "display_name": who,
            "role": role,
        }
        session: dict[str, Any] = self.make("nobody", "/auth/register", body)
        self.users[who] = session["user"]
        self.tokens[who] = session["access_token"]
        return session

    def operator(self, role: str = "operator", who: str = "") -> str:
        """Make an operator, who is called as the role is if not otherwise; return the name that the key is for."""
        name = f"{role}-{os.urandom(4).hex()}"
        made = self._cell.titan("operator", "create", name, "--role", role)
        assert made.returncode == 0, made.stdout + made.stderr
        self.tokens[who or role] = made.stdout.strip()
        return name

    def headers(self, who: str) -> dict[str, str]:
        token = self.tokens[who]
        return {"authorization": f"Bearer {token}"} if token else {}

    def make(self, who: str, path: str, body: Any = None, key: str = "") -> dict[str, Any]:
        headers = {**self.headers(who), **({"idempotency-key": key} if key else {})}
        answer = self.client.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def new_product(self) -> str:
        product: str = self.make("merchant", "/products", PRODUCT)["id"]
        return product

    def new_sale(self, state: str) -> str:
        body = {
            "product_id": self.product,
            "title": "Lamps",
            "price": PRICE,
            "stock": 1000,
            "per_buyer_limit": 1000,
            "hold_seconds": 600,
        }
        sale: str = self.make("merchant", "/sales", body)["id"]
        for step in ON_THE_WAY[state]:
            self.make("merchant", f"/sales/{sale}/{step}", {})
        return sale

    def new_hold(self) -> str:
        """Make a hold of the buyer's."""
        held = self.make("buyer", f"/sales/{self.sale}/holds", {"quantity": 1}, key=os.urandom(8).hex())
        hold: str = held["hold_id"]
        return hold

    def ids_for(self, operation_id: str) -> dict[str, str]:
        """Return ids of what exists. What an operation changes for good is used by no other."""
        moved = STEPS.get(operation_id)
        return {
            "product_id": self.new_product() if operation_id == "changeProduct" else self.product,
            "sale_id": self.new_sale(moved) if moved else self.sale,
            "hold_id": self.new_hold(),
            "order_id": self.order["id"],
            "conversation_id": self.conversation,
            "subscription_id": self.subscription,
            "webhook_id": self.doomed_webhook if operation_id == "deleteWebhook" else self.webhook,
            "log_position": "1",
            "name": self.doomed_operator,
        }


@contextlib.contextmanager
def opened(cell: Cell) -> Iterator[Shop]:
    """Open a shop on a cell, with operators of each rank."""
    shop = Shop(cell)
    shop.open()
    shop.operators()
    try:
        yield shop
    finally:
        shop.client.close()
