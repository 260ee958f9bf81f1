"""What the demo remembers of a payment."""

from dataclasses import dataclass, field

from svix.api import MessageAttemptOut


@dataclass
class Payment:
    """What a customer paid, and what became of the event. Instants are seconds since 1970."""

    order: str
    amount: int
    currency: str
    paid_at: float
    event: str
    message: str
    attempts: list[MessageAttemptOut] = field(default_factory=list)
    shipped_at: float = 0.0

    def __str__(self) -> str:
        return f"{self.order}, {self.price}"

    @property
    def price(self) -> str:
        return f"{self.amount / 100:.2f} {self.currency.upper()}"

    @property
    def is_delivered(self) -> bool:
        """Whether the shop took the latest attempt."""
        return bool(self.attempts) and self.attempts[-1].status == 0

    @property
    def was_taken_at_once(self) -> bool:
        return bool(self.attempts) and self.attempts[0].status == 0
