import importlib.util

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from measured import metrics, table

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.pipeline.figures import store_figures
from deep_bottleneck.plotter import informationplane_movie
from deep_bottleneck.plotter.curves import layer_labels


class Stored(dict):
    """A record that keeps its artifacts' file names by their names."""

    def add_artifact(self, filename, name):
        self[name] = filename


def made(data=None, **changes):
    data = table() if data is None else data
    return informationplane_movie.movie(data, metrics(), **changes)


def test_a_point_for_every_layer_of_every_run():
    data = table()
    movie = made(data)
    plane = movie.figure.axes[0]
    lines, points = plane.collections

    for frame, epoch in enumerate((0, 1, 20)):
        movie.update(frame)

        at_epoch = data[data["epoch"] == epoch]
        np.testing.assert_allclose(points.get_offsets(), at_epoch[["MI_XM", "MI_YM"]])
        assert [len(segment) for segment in lines.get_segments()] == [4, 4, 4]
        assert plane.texts[0].get_text() == f"epoch {epoch}"
    assert movie.n_frames == 3


def test_layers_have_the_colours_of_the_legend():
    plane = made().figure.axes[0]

    handles = plane.get_legend().legend_handles
    colors = plane.collections[1].get_facecolors()[:, :3]
    from_legend = [handle.get_color() for handle in handles]
    assert [text.get_text() for text in plane.get_legend().get_texts()] == list(
        layer_labels(table()).values()
    )
    assert len({tuple(color) for color in colors}) == len(set(from_legend)) == 4
    np.testing.assert_array_equal(colors[:4], colors[4:8])


def test_axes_hold_the_points_of_all_epochs():
    data = table()

    plane, accuracy = made(data).figure.axes

    for column, (low, high) in (("MI_XM", plane.get_xlim()), ("MI_YM", plane.get_ylim())):
        assert low < data[column].min() < data[column].max() < high
    assert (plane.get_xlabel(), accuracy.get_xlabel()) == ("I(X;M) [bits]", "epoch")


def test_accuracies_grow_up_to_the_epoch():
    movie = made()
    accuracy = movie.figure.axes[1]
    train, test, dots, _, place = accuracy.lines

    movie.update(1)

    assert (train.get_label(), test.get_label()) == ("train", "test")
    np.testing.assert_array_equal(train.get_xdata(), [0, 1])
    by_epoch = metrics().groupby("epoch")["accuracy"].mean()
    np.testing.assert_allclose(train.get_ydata(), by_epoch[:2])
    at_1 = metrics().query("epoch == 1")["accuracy"]
    np.testing.assert_allclose(dots.get_ydata(), at_1)
    assert place.get_xdata() == [1, 1]


def test_only_the_moving_parts_of_a_frame_change():
    movie = made()
    frames = [frame.copy() for frame in movie.frames()]

    assert [frame.shape for frame in frames] == [(960, 800, 4)] * 3
    changed = (frames[0] != frames[2]).any(axis=2)
    boxes = [axes.get_window_extent().padded(8) for axes in movie.figure.axes]
    rows, columns = np.nonzero(changed)
    inside = [
        (box.x0 <= columns) & (columns <= box.x1) & (box.y0 <= 959 - rows) & (959 - rows <= box.y1)
        for box in boxes
    ]
    assert changed.any()
    assert np.logical_or(*inside).all()


def test_reused_artists_draw_what_a_fresh_picture_shows():
    movie = made()
    *_, last = movie.frames()
    reused = last.copy()

    fresh = made()
    fresh.update(2)
    (drawn,) = type(fresh)(fresh.figure, fresh.moving, lambda _: None, 1, 1).frames()

    np.testing.assert_array_equal(reused, drawn)


def test_the_file_has_a_frame_for_each_epoch(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    epochs = tuple(range(30))

    made(table(epochs=epochs), frames_per_second=10).save(tmp_path / "plane.mp4")

    frames, seconds = imageio_ffmpeg.count_frames_and_secs(tmp_path / "plane.mp4")
    assert frames == 30
    assert seconds == pytest.approx(3.0, abs=0.11)
    shape = next(imageio_ffmpeg.read_frames(tmp_path / "plane.mp4"))["size"]
    assert shape == (800, 960)


def test_a_value_that_could_not_be_estimated_is_left_out():
    data = table()
    data.loc[(data["layer"] == 2) & (data["epoch"] == 0), "MI_XM"] = np.nan

    movie = made(data)
    movie.update(0)

    offsets = movie.figure.axes[0].collections[1].get_offsets()
    assert np.ma.getmaskarray(np.ma.masked_invalid(offsets)).any(axis=1).sum() == 3
    assert len(list(movie.frames())) == 3


def test_a_movie_for_each_table_that_has_values():
    pytest.importorskip("imageio_ffmpeg")
    tables = {"train": table(), "test": table().assign(MI_XM=np.nan), "full": table().iloc[:0]}

    assert list(informationplane_movie.load().plot(Results(tables, metrics()))) == [
        "infoplane_movie_train"
    ]


def test_movies_and_figures_are_stored_as_what_they_are(tmp_path):
    class Silent:
        suffix = ".mp4"

        def save(self, path):
            path.write_bytes(b"frames")

    class Both(BasePlotter):
        def plot(self, results):
            return {"plane_0.1": Figure(), "movie_0.1": Silent()}

    stored = Stored()

    store_figures([Both()], Results({}, pd.DataFrame()), stored, tmp_path)

    assert stored == {
        "plane_0.1": str(tmp_path / "plane_0.1.png"),
        "movie_0.1": str(tmp_path / "movie_0.1.mp4"),
    }
    assert (tmp_path / "movie_0.1.mp4").read_bytes() == b"frames"


@pytest.mark.parametrize("frames_per_second", [0, -1, float("nan")])
def test_frames_must_follow_each_other(frames_per_second):
    with pytest.raises(ConfigError, match="should be greater than 0"):
        informationplane_movie.load(frames_per_second)


def test_without_an_encoder_it_is_said_before_training(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ConfigError, match="pip install imageio-ffmpeg"):
        informationplane_movie.load()
