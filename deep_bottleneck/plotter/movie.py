"""A figure that moves, as an MP4 file.

What stays the same is drawn once; each frame is that picture with the moving artists drawn over it,
and goes straight into the encoder.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# H.264 encodes blocks of so many pixels; a size that is no multiple of it would be scaled
BLOCK = 16


@dataclass(frozen=True)
class Movie:
    """Frames of one figure.

    Attributes:
        figure: its width and height in pixels should be multiples of `BLOCK`.
        moving: the artists of the figure that change from frame to frame.
        update: called with the number of each frame, changes these artists.
        n_frames: how many frames there are.
        frames_per_second: how fast they follow each other.
        suffix: of its files.
    """

    figure: Figure
    moving: Sequence[Artist]
    update: Callable[[int], None]
    n_frames: int
    frames_per_second: float
    suffix: str = ".mp4"

    def frames(self) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
        """Every frame: uint8, shape (height, width, 4); the next one takes its place."""
        canvas = FigureCanvasAgg(self.figure)
        for artist in self.moving:
            artist.set_animated(True)
        canvas.draw()
        # a layout that is computed again would move the axes away from what is drawn already
        self.figure.set_layout_engine("none")
        still = canvas.copy_from_bbox(self.figure.bbox)
        for frame in range(self.n_frames):
            self.update(frame)
            canvas.restore_region(still)
            for artist in self.moving:
                artist.draw(canvas.get_renderer())
            yield np.asarray(canvas.buffer_rgba())

    def save(self, path: Path) -> None:
        """Encode all frames.

        Raises:
            OSError: if the encoder fails.
        """
        from imageio_ffmpeg import write_frames

        # else Python itself forks to start the encoder, which may hang beside JAX's threads
        os.environ.setdefault("IMAGEIO_FFMPEG_NO_PREVENT_SIGINT", "1")
        width, height = (round(length) for length in self.figure.bbox.size)
        encoder = write_frames(
            path,
            (width, height),
            pix_fmt_in="rgba",
            fps=self.frames_per_second,
            macro_block_size=BLOCK,
            output_params=["-preset", "veryfast"],
        )
        encoder.send(None)
        try:
            for frame in self.frames():
                encoder.send(frame)
        finally:
            encoder.close()
