import pandas as pd

from deep_bottleneck.measuring.tables import Tables, read_growing, read_table


class Copies:
    """A record that reads what it is given."""

    def __init__(self):
        self.artifacts = {}

    def add_artifact(self, filename, name):
        self.artifacts[name] = pd.read_csv(filename)


def rows(*epochs):
    return pd.DataFrame({"epoch": epochs, "value": [0.5] * len(epochs)})


def test_a_table_that_grows_is_readable_before_it_is_whole(tmp_path):
    tables = Tables(Copies(), tmp_path)

    tables.append("noise", rows(1, 0))
    tables.append("noise", rows(2))

    assert pd.read_csv(tmp_path / "noise.csv")["epoch"].tolist() == [1, 0, 2]
    assert tables.by_name == {}


def test_the_whole_table_takes_its_place(tmp_path):
    record = Copies()
    tables = Tables(record, tmp_path)
    tables.append("noise", rows(1, 0))

    tables.add("noise", rows(0, 1))

    assert record.artifacts["noise"]["epoch"].tolist() == [0, 1]
    assert pd.read_csv(tmp_path / "noise.csv")["epoch"].tolist() == [0, 1]
    assert tables.by_name["noise"] is not None


def test_a_stored_table_is_read_as_it_was():
    table = rows(0, 1).assign(parameter=["2", ""], check="ceiling", value=[0.1, None])

    pd.testing.assert_frame_equal(read_table(table.to_csv(index=False).encode()), table)


def test_a_growing_table_has_its_whole_epochs_in_the_order_of_the_finished_one():
    rows = [(run, epoch, layer) for epoch in (0, 1, 2) for layer in (0, 1) for run in (0, 1)]
    lines = [f"{run},{epoch},{layer},1.5,{epoch}" for run, epoch, layer in rows]
    name, head = "information_measures_binning_test", "run,epoch,layer,MI_XM,MI_YM\n"

    def told(n_lines, more=""):
        return read_growing(name, "\n".join([head.strip(), *lines[:n_lines], more]).encode())

    assert told(12)[["run", "epoch", "layer"]].apply(tuple, axis=1).tolist() == sorted(rows)
    assert told(12)["module"].eq("binning").all()
    # of the last epoch run 0 is whole, and run 1 is being written
    cut_short = told(11, "1,2,1,1.")
    assert len(cut_short) == 10
    assert cut_short[cut_short["epoch"] == 2]["run"].tolist() == [0, 0]
    assert told(0, "0,0").empty
