"""The rules of products."""

from typing import assert_never

from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from server.catalogue.model import (
    KIND,
    REGISTRY,
    Absent,
    Change,
    Command,
    Create,
    Event,
    Product,
    ProductChanged,
    ProductCreated,
    State,
)

CHANGEABLE = ("title", "description", "price", "stock", "images", "attributes")


def decide(state: State, command: Command, now: int) -> list[Event]:
    """Decide a command. To anybody but its merchant a product that may be seen does not exist for changing."""
    match command:
        case Create():
            return _create(state, command, now)
        case Change():
            return _change(state, command, now)
        case _:
            assert_never(command)


def _create(state: State, command: Create, now: int) -> list[Event]:
    if isinstance(state, Product):
        return []
    return [
        ProductCreated(
            command.product_id,
            command.merchant_id,
            command.title,
            command.description,
            command.price,
            command.stock,
            command.images,
            command.attributes,
            now,
        )
    ]


def _change(state: State, command: Change, now: int) -> list[Event]:
    if isinstance(state, Absent) or state.merchant_id != command.merchant_id:
        raise Rejected("not_found", "There is no such product, or it is not yours.")
    changed = {
        field: value
        for field in CHANGEABLE
        if (value := getattr(command, field)) is not None and value != getattr(state, field)
    }
    if not changed:
        return []
    return [ProductChanged(**dict.fromkeys(CHANGEABLE) | changed, at=now)]


def evolve(state: State, event: Event) -> State:
    """Fold one event."""
    match event:
        case ProductCreated():
            return Product(
                event.product_id,
                event.merchant_id,
                event.title,
                event.description,
                event.price,
                event.stock,
                event.images,
                event.attributes,
                event.at,
                event.at,
            )
        case ProductChanged():
            return state if isinstance(state, Absent) else _changed(state, event)
        case _:
            assert_never(event)


def _changed(product: Product, event: ProductChanged) -> Product:
    return Product(
        product.id,
        product.merchant_id,
        event.title if event.title is not None else product.title,
        event.description if event.description is not None else product.description,
        event.price or product.price,
        event.stock if event.stock is not None else product.stock,
        event.images if event.images is not None else product.images,
        event.attributes if event.attributes is not None else product.attributes,
        product.created_at,
        event.at,
    )


DECIDER: Decider[State, Command] = Decider(KIND, Absent, decide, evolve, REGISTRY)
