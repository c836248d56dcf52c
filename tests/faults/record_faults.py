"""What may happen to the files of a record, and which of its readers say so.

`test_record_faults.py` plays the table, and `docs/storage.md` shows it.
"""

TABLE, PICTURE, SOURCE = "information_measures_upper_test.csv", "infoplane_test.png", "a source"
# what happens to a file, in the words of the documentation
DAMAGES = {
    "truncated": "cut in the middle",
    "flipped": "with a flipped bit",
    "emptied": "emptied",
    "missing": "gone",
    "a folder": "a folder in its place",
    "a link": "a link to a file elsewhere",
    "a dangling link": "a link to nowhere",
    "a pipe": "a pipe that nobody writes into",
    "unreadable": "one that may not be read",
}
# these leave content that may still be what the file should hold
WITHIN = ("truncated", "flipped")
# those who read records, and what they do where they say what is damaged
READERS = {
    "evaluation": "leaves out what is damaged, with a warning; `find_by_id` refuses it",
    "board": "the same; a page that cannot be without it is a sentence, with status 503",
    "report": "leaves out what is damaged, with a warning",
    "doctor": "names the experiment; exit status 1",
    "sync": "uploads what can be read and names the rest; exit status 1",
    "resume": "runs the experiment again, with a warning",
    "re-estimate": "a warning; where it cannot be without it, one sentence and exit status 2",
}
EVERYBODY = tuple(READERS)
# by file: who says so where it cannot be read; to all others the experiment is as ever
SAID_BY = {
    "run.json": EVERYBODY,
    "config.json": EVERYBODY,
    "metrics.json": ("evaluation", "board", "doctor", "sync"),
    "info.json": ("doctor", "sync"),
    "cout.txt": ("doctor", "sync"),
    TABLE: EVERYBODY,
    PICTURE: EVERYBODY,
    SOURCE: ("doctor", "sync"),
    "activations.h5": ("re-estimate",),
}
# what an experiment may be without, and what may be empty: who says so all the same
SAID_ALL_THE_SAME = {
    ("run.json", "missing"): ("evaluation", "board", "doctor", "resume", "re-estimate"),
    ("metrics.json", "missing"): (),
    ("info.json", "missing"): (),
    ("cout.txt", "missing"): (),
    ("cout.txt", "emptied"): (),
    (PICTURE, "emptied"): ("report",),
    (SOURCE, "emptied"): (),
}
