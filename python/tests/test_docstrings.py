"""Every public function and method has an example; `pytest --pyargs megasim` runs them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import megasim


def public() -> Iterator[tuple[str, Any]]:
    for module in (megasim, megasim.stdp):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing
            elif inspect.isclass(thing):
                for method, of in vars(thing).items():
                    of = of.__func__ if isinstance(of, (classmethod, staticmethod)) else of
                    if inspect.isfunction(of) and not method.startswith("_"):
                        yield f"{module.__name__}.{name}.{method}", of


@pytest.mark.parametrize("thing", [pytest.param(thing, id=name) for name, thing in public()])
def test_there_is_an_example(thing: Any) -> None:
    assert ">>> " in (inspect.getdoc(thing) or "")
