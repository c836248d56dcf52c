"""How large many experiments are in a folder and in a database.

    python -m benchmarks.database_size [--experiments 200] [--record runs/12]

Stores copies of one record, and adds up what each of them needs. Without `--record` it is that of
the smallest experiment there is. The database is a server of our own.
"""

import argparse
import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bson import CodecOptions
from bson.raw_bson import RawBSONDocument

from benchmarks.launching import smallest_record
from benchmarks.mongo_server import MongoServer, mongo_server
from deep_bottleneck.storage.folder_store import SOURCES_FOLDER, FolderStore
from deep_bottleneck.storage.mongo import MongoSettings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.upload import upload

KINDS = (".png", ".csv", ".json")
SWEEPS = (1_000, 10_000, 100_000)
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class Size(NamedTuple):
    """How many files or documents, and how many bytes they have together."""

    number: int
    length: int

    @classmethod
    def of(cls, lengths: Iterable[int]) -> "Size":
        """Of files or documents with these numbers of bytes."""
        listed = list(lengths)
        return cls(len(listed), sum(listed))

    def __str__(self) -> str:
        return f"{self.number:12,} {human(self.length):>10}"

    def per_experiment(self, before: "Size", n_experiments: int) -> "Size":
        """What each of these experiments has added to the size before."""
        number = (self.number - before.number) / n_experiments
        return Size(round(number), math.ceil((self.length - before.length) / n_experiments))

    def times(self, n_experiments: int) -> "Size":
        """The size of as many."""
        return Size(self.number * n_experiments, self.length * n_experiments)


def main() -> None:
    """Print a line for each place and size of a sweep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--record", type=Path, help="the record of an experiment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        record = options.record or smallest_record(Path(scratch))
        (Path(scratch) / "mongo").mkdir()
        with mongo_server(Path(scratch) / "mongo") as server:
            sizes = measured(record, Path(scratch) / "copies", server, options.experiments)
    print(f"{'':24}{'experiments':>12} {'pieces':>12} {'size':>10}")
    for place, size in sizes.items():
        for n_experiments in (1, *SWEEPS):
            print(f"{place:24}{n_experiments:12,} {size.times(n_experiments)}")


def measured(
    record: Path, runs: Path, server: MongoServer, n_experiments: int
) -> Mapping[str, Size]:
    """What one more experiment needs in each place; the first brings the sources, which all share.

    Args:
        record: the record of an experiment.
        runs: a folder for copies of it.
        server: where they are stored as well.
        n_experiments: how many copies to average over.
    """
    shutil.copytree(record.parent / SOURCES_FOLDER, runs / SOURCES_FOLDER)
    store = MongoStore(MongoSettings(server.uri, "sizes"))
    sizes = []
    for numbers in ([1], range(2, n_experiments + 2)):
        for number in numbers:
            shutil.copytree(record, runs / str(number))
        failed = [done.done for done in upload(FolderStore(runs), store) if done.failed]
        if failed:
            raise RuntimeError(failed[0])
        kinds = {f"folder *{kind}": of_folder(runs, kind) for kind in KINDS}
        places = {"folder": of_folder(runs), **kinds, **of_database(store)}
        sizes.append({**places, "server": of_folder(server.folder)})
    store.close()
    before, after = sizes
    return {
        place: size.per_experiment(before[place], n_experiments) for place, size in after.items()
    }


def of_folder(folder: Path, kind: str = "") -> Size:
    """The files below a folder, or those whose name ends so."""
    return Size.of(path.stat().st_size for path in folder.rglob(f"*{kind}") if path.is_file())


def of_database(store: MongoStore) -> dict[str, Size]:
    """The documents of each collection, as BSON, and the indices."""

    def found(name: str, **wanted: Any) -> Iterator[RawBSONDocument]:
        yield from store.database.get_collection(name, RAW).find(wanted)

    # our own server finds chunks only by their file
    chunks = (c for file in found("fs.files") for c in found("fs.chunks", files_id=file["_id"]))
    collections = {name: found(name) for name in ("runs", "metrics", "fs.files")}
    sizes = {
        f"collection {name}": Size.of(len(document.raw) for document in documents)
        for name, documents in {**collections, "fs.chunks": chunks}.items()
    }
    return {**sizes, "indices": Size(0, store.database.command("dbStats")["indexSize"])}


def human(length: int) -> str:
    """A number of bytes with a unit."""
    exponent = min(3, int(math.log(max(length, 1), 1024)))
    return f"{length / 1024**exponent:,.1f} {('B', 'KiB', 'MiB', 'GiB')[exponent]}"


if __name__ == "__main__":
    main()
