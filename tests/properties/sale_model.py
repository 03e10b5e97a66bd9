"""A flash sale in forty lines: what the rules must agree with, whatever is done to them."""

from fractions import Fraction


class ModelSale:
    """Stock, limit and who has how much; no units, no log, no batches."""

    def __init__(self, stock: int, limit: int, hold_ms: int) -> None:
        self.stock, self.limit, self.hold_ms = stock, limit, hold_ms
        self.holds: dict[str, dict[str, object]] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.state = "open"
        self.per_second: int | None = None
        self.tokens, self.tokens_at = Fraction(0), 0

    def _units(self, *statuses: str, buyer: str | None = None) -> int:
        found = [h for h in self.holds.values() if h["status"] in statuses and buyer in (None, h["buyer"])]
        return sum(int(str(h["quantity"])) for h in found)

    def pass_time(self, now: int) -> None:
        for hold in self.holds.values():
            if hold["status"] == "held" and now >= int(str(hold["until"])):
                hold["status"] = "expired"

    def hold(self, hold_id: str, buyer: str, quantity: int, key: str, now: int) -> str:
        known = self.keys.get((buyer, key))
        if known is not None:
            return known if self.holds[known]["quantity"] == quantity else "key_reused"
        if self.state != "open":
            return "not_open"
        if self._units("held", "confirmed", buyer=buyer) + quantity > self.limit:
            return "limit_reached"
        if self._units("held", "confirmed") + quantity > self.stock:
            return "sold_out"
        if self.per_second is not None:
            if self._fill(self.per_second, now) < 1:
                return "rate_limited"
            self.tokens -= 1
        self.keys[buyer, key] = hold_id
        self.holds[hold_id] = {
            "buyer": buyer,
            "quantity": quantity,
            "status": "held",
            "until": now + self.hold_ms,
        }
        return hold_id

    def throttle(self, per_second: int | None, now: int) -> None:
        if per_second is not None:
            left = Fraction(per_second) if self.per_second is None else self._fill(self.per_second, now)
            self.tokens, self.tokens_at = min(Fraction(per_second), left), now
        self.per_second = per_second

    def _fill(self, per_second: int, now: int) -> Fraction:
        gained = Fraction(per_second * (now - self.tokens_at), 1000)
        self.tokens, self.tokens_at = min(Fraction(per_second), self.tokens + gained), now
        return self.tokens

    def settle(self, hold_id: str, status: str) -> str:
        have = str(self.holds[hold_id]["status"])
        if have == "held":
            self.holds[hold_id]["status"] = status
            return "ok"
        if have == status:
            return "ok"
        return "wrong_state" if have == "confirmed" else f"hold_{have}"

    def counts(self) -> tuple[int, int]:
        return self._units("held"), self._units("confirmed")
