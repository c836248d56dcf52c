import pandas as pd

from deep_bottleneck.measuring.tables import Tables, read_table


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
