"""A readout names which tokens of which blocks a head reads."""

import pytest
import torch

from loravit_web.adapters.readout import ReadoutError, Tap, fitting, parse_readout, read, readout_text
from loravit_web.backbones import Base


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        (["3-8"], "3-8"),
        (["cls@12"], "cls@12"),
        (["mean@6-8", "12"], "mean@6-8,12"),
        (["2", "3", "4"], "2-4"),
        (["cls@5", "mean@5"], "5"),
        ([], "none"),
    ],
    ids=str,
)
def test_a_readout_has_a_shortest_text_that_means_the_same(entries: list[str], text: str) -> None:
    readout = parse_readout(entries)
    assert readout_text(readout) == text
    assert readout == (parse_readout(text.split(",")) if readout else ())
    assert parse_readout([str(tap) for tap in readout]) == readout


@pytest.mark.parametrize("entry", ["", "0", "8-3", "max@3", "cls", "cls@", "3-", "1e3", "cls@1,2", "9999"])
def test_anything_else_is_refused(entry: str) -> None:
    with pytest.raises(ReadoutError, match="is not a readout. Name blocks such as 3-8"):
        parse_readout([entry])


def test_a_block_that_the_base_does_not_have_is_refused(base: Base) -> None:
    with pytest.raises(ReadoutError, match="block 4, but the base has 3 blocks. Choose 1 to 3."):
        fitting(parse_readout(["2-4"]), base)


def test_reading_takes_the_columns_in_the_order_of_the_taps(base: Base) -> None:
    pooled = torch.arange(2 * 3 * 2 * 4, dtype=torch.float32).view(2, 3, 2, 4)
    found = read((Tap(1, "mean"), Tap(3, "cls")), base, pooled)
    assert torch.equal(found, torch.cat([pooled[:, 0, 1], pooled[:, 2, 0]], dim=1))
    assert read((), base, pooled).shape == (2, 0)
