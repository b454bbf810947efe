"""What the frames' tests do not see: a composite that we declared wrongly."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest

from host_tools.hub.wire import amqp_composites


def test_a_field_without_a_wire_type_is_told(monkeypatch):
    # Composites are registered as they are declared: this one is not to stay
    monkeypatch.setattr(amqp_composites, "_BY_DESCRIPTOR", {})

    @dataclass
    class Wrong(amqp_composites.Composite):
        CODE: ClassVar[int] = 0x7FFF
        NAME: ClassVar[str] = "test:wrong:list"
        seconds: Annotated[int, "no Wire"] = 0

    with pytest.raises(TypeError, match="no wire type"):
        Wrong().describe()
