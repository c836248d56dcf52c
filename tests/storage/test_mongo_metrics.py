from itertools import pairwise

import pytest

from deep_bottleneck.storage import mongo_metrics
from deep_bottleneck.storage.mongo_metrics import joined, pieces, query_of


def metric(first, last):
    steps = list(range(first, last))
    return {"steps": steps, "values": [step / 2 for step in steps], "timestamps": steps}


@pytest.mark.parametrize(
    "cuts", [[0, 25], [0, 7, 8, 10, 25], [0, 10, 20, 25], range(26), [0, 0, 25]]
)
def test_pieces_join_to_what_was_cut_however_it_came(monkeypatch, cuts):
    monkeypatch.setattr(mongo_metrics, "LONGEST", 10)
    stored = {}
    for first, last in pairwise(cuts):
        for number, piece in pieces(metric(first, last), n_before=first):
            for part, values in piece.items():
                stored.setdefault(number, {}).setdefault(part, []).extend(values)

    assert [len(piece["values"]) for piece in stored.values()] == [10, 10, 5]
    found = [{"name": "loss", "piece": number, **piece} for number, piece in stored.items()]
    assert joined(reversed(found)) == {"loss": metric(0, 25)}


def test_the_first_piece_is_a_document_as_sacred_writes_it():
    assert query_of(1, "loss", 0) == {"run_id": 1, "name": "loss", "piece": {"$exists": False}}
    assert joined([{"name": "loss", "run_id": 1, "values": [0.5]}]) == {"loss": {"values": [0.5]}}
