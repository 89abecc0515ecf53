"""An error is one or two sentences, and survives the transfer between processes."""

import inspect
import pickle
from typing import Any

import pytest

from registry import InvalidSlug, NotFound, RegistryError, validate_slug

CAUSES = sorted(
    {*RegistryError.__subclasses__(), *NotFound.__subclasses__()} - {NotFound},
    key=lambda cause: cause.__name__,
)


def example(cause: type[RegistryError]) -> RegistryError:
    values: dict[str, Any] = {
        "needed": 2_000_000,
        "free": 1_000,
        "close": ("a", "b"),
        "run_ids": ("a", "b"),
        "aliases": ("a", "b"),
        "known": ("a", "b"),
    }
    parameters = inspect.signature(cause.__init__).parameters.values()
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [each.name for each in parameters if each.kind is positional and each.name != "self"]
    return cause(*(values.get(name, f"<{name}>") for name in names))


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_a_message_is_one_or_two_sentences(cause: type[RegistryError]) -> None:
    message = str(example(cause))
    assert message.endswith((".", "?"))
    assert "\n" not in message
    assert ";" not in message
    assert len(message.split(". ")) <= 2


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_an_error_survives_pickling(cause: type[RegistryError]) -> None:
    error = example(cause)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (cause, str(error), vars(error))


@pytest.mark.parametrize("slug", ["a", "0", "cifar10-objects", "a" * 63, "a-"])
def test_a_valid_slug_is_returned_unchanged(slug: str) -> None:
    assert validate_slug(slug) == slug


@pytest.mark.parametrize(
    "slug", ["", "-a", "A", "a" * 64, "a\n", "a b", "a_b", "a.b", "ä", "../a", "a/b", "a@1", "\u0661"]
)
def test_an_invalid_slug_is_refused_with_the_rule(slug: str) -> None:
    with pytest.raises(InvalidSlug, match="lowercase letters, digits and hyphens"):
        validate_slug(slug)
