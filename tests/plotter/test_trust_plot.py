import pandas as pd
from measured import metrics, table

from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import trust


def report():
    context = {
        "estimator": "upper",
        "parameter": "noise variance 0.1",
        "bounds": "upper bound",
        "geometric": True,
        "part": "test",
        "n_examples": 100,
        "n_runs": 3,
    }
    rows = []
    for layer in range(2):
        for measure, checks in (("MI_XM", 3), ("MI_YM", 4)):
            for check in list(trust.CHECKS)[:checks]:
                rows += [(check, measure, epoch, layer, 0.5 + layer) for epoch in (0, 9)]
        rows += [(check, "", None, layer, 0.25) for check in trust.SHARES]
    rows += [("ceiling", "MI_XM", None, None, 6.6), ("H(Y)", "MI_YM", None, None, 1.0)]
    rows += [("accuracy", part, 9, None, 0.875) for part in ("train", "test")]
    frame = pd.DataFrame(rows, columns=["check", "measure", "epoch", "layer", "value"])
    return frame.assign(lowest=frame["value"], highest=frame["value"], **context)


def test_one_picture_for_each_report():
    stored = {"trust_test": report(), "trust_region": pd.DataFrame({"radius": [1.0]})}
    results = Results({"test": table(), "full": table()}, metrics(), stored=stored)

    assert list(trust.load().plot(results)) == ["trust_plot_test"]


def test_what_is_drawn():
    figure = trust.trust(report())

    about_input, about_label, shares, accuracy = figure.axes
    assert "upper, noise variance 0.1 (upper bound), 100 test examples" in figure.get_suptitle()
    assert "compression is geometric" in figure.get_suptitle()
    assert [text.get_text() for text in about_input.get_legend().get_texts()] == [
        "ceiling",
        "estimate",
        "parameter halved",
        "parameter doubled",
    ]
    assert len(about_label.containers) == 4
    assert about_label.get_title() == "at epoch 9"
    assert [bar.get_height() for bar in shares.patches] == [0.25] * 8
    assert [text.get_text() for text in accuracy.texts] == ["0.875", "0.875"]


def test_an_empty_report_is_not_drawn():
    stored = {"trust_test": report().iloc[:0]}
    results = Results({"test": table().iloc[:0]}, metrics(), stored=stored)

    assert trust.load().plot(results) == {}
