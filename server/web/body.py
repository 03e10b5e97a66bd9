"""Request bodies: strict JSON into frozen structs. Litestar's own conversion is lax and takes "5" for 5."""

from collections.abc import Generator
from typing import Any, ClassVar, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from cells.kernel.errors import Rejected

T = TypeVar("T")

JSON = "application/json"


def parse(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body strictly. Raises `Rejected` (bad_request) that names the place of the first fault."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected("bad_request", str(error)) from None
    except RecursionError:
        raise Rejected("bad_request", "The body is nested too deeply.") from None


class Json(AbstractDTO[T]):
    """`dto=Json[SomeStruct]` on a handler: its `data` is decoded strictly, other media types are refused (415)."""

    _decoder: ClassVar[msgspec.json.Decoder[Any] | None] = None

    def decode_bytes(self, value: bytes) -> Any:
        """Decode the whole body. Raises `Rejected`."""
        media = self.asgi_connection.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if media != JSON:
            raise Rejected("unsupported_media_type", "The body has to be application/json.")
        cls = type(self)
        if cls._decoder is None:
            cls._decoder = msgspec.json.Decoder(cls.model_type)
        return parse(cls._decoder, value)

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """No transfer model is generated: the struct is the model."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """Describe the struct itself, closed to other fields as the decoder is."""
        del handler_id
        found: Reference | Schema = schema_creator.for_field_definition(field_definition)
        schema = (
            found
            if isinstance(found, Schema)
            else schema_creator.schema_registry.from_reference(found).schema
        )
        schema.additional_properties = False
        return found

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003 - the signature is Litestar's
        """Answers are never encoded by the request's type."""
        return False

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:  # noqa: ARG003 - see above
        """No fields are mapped."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003 - see above
        """No fields are mapped."""
        return False
