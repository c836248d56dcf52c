"""The scripts that are submitted, and what the schedulers' own output is read as."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Listed
from deep_bottleneck.launching.cluster.grid_engine import GridEngine
from deep_bottleneck.launching.cluster.launcher import ClusterLauncher
from deep_bottleneck.launching.cluster.profile import Profile
from deep_bottleneck.launching.cluster.scheduler import ArrayJob
from deep_bottleneck.launching.cluster.script import fill_in, set_up
from deep_bottleneck.launching.cluster.slurm import Slurm

ROOT = Path(__file__).resolve().parents[3]
EVERYTHING = Profile(
    time="02:00:00",
    memory="8G",
    cpus=4,
    gpus=1,
    queue="long",
    account="lab",
    modules=("cuda/12",),
    venv="/home/me/venv",
)


@pytest.fixture
def array(tmp_path):
    return ArrayJob("sweep", 12, 3, Path("/out/logs"), EVERYTHING)


@pytest.fixture
def answers(monkeypatch, tmp_path):
    """Puts commands on the PATH that print a text and end with a status."""

    def answers(status=0, **printed):
        for name, text in printed.items():
            (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'X'\n{text}\nX\nexit {status}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return answers


def test_grid_engine_is_told_what_a_profile_asks_for(array):
    assert GridEngine().directives(array) == [
        "#$ -N sweep",
        "#$ -t 1-12",
        "#$ -o /out/logs/$TASK_ID.log -j y",
        "#$ -cwd -notify",
        "#$ -tc 3",
        "#$ -l h_rt=7200,s_rt=7140",
        "#$ -l h_vmem=8G",
        "#$ -l gpu=1",
        "#$ -pe smp 4",
        "#$ -q long",
        "#$ -P lab",
    ]


def test_slurm_is_told_what_a_profile_asks_for(array):
    assert Slurm().directives(array) == [
        "#SBATCH --job-name=sweep",
        "#SBATCH --array=1-12%3",
        "#SBATCH --output=/out/logs/%a.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --time=02:00:00",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --mem=8G",
        "#SBATCH --gres=gpu:1",
        "#SBATCH --partition=long",
        "#SBATCH --account=lab",
    ]


ODD_NAMES = [
    "out put", 'quo"te', "it's", "$HOME", "${x}", "`date`", "ünïcode 文", "50%a", "back\\slash",
    "#no comment", "a:b", "a,b", "two\nlines", "re\rturn", "\udc80", "tab\t", "a;b&c|d", "*?[x]",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("scheduler", [GridEngine(), Slurm()], ids=lambda one: one.name)
def test_every_name_is_one_word_or_refused(scheduler, name):
    """What is quoted reads as it was, in the way of the scheduler's own source."""
    profile = replace_all(EVERYTHING, name)
    job = ArrayJob("sweep", 12, 3, Path(f"/{name}/logs"), profile)
    try:
        lines = scheduler.directives(job)
    except ConfigError as error:
        assert "choose a name without it" in str(error)
        assert set(name) & set("\"'$:,\n\r\t\\\udc80")
        return

    assert not any("\n" in line for line in lines)
    words = [read_as(scheduler, line) for line in lines]
    told = [word for line in words for word in line]
    if scheduler.name == "Slurm":
        assert [len(line) for line in words] == [1] * len(lines)
        assert f"--output=/{name.replace('%', '%%')}/logs/%a.log" in told
        assert {f"--partition={name}", f"--account={name}", f"--gres={name}:1"} <= set(told)
    else:
        assert ["-o", f"/{name}/logs/$TASK_ID.log", "-j", "y"] in words
        assert {("-q", name), ("-P", name), ("-pe", name, "4")} <= set(map(tuple, words))


def replace_all(profile, name):
    names = ("queue", "account", "gpu_resource", "memory_resource", "parallel_environment")
    return profile.model_copy(update=dict.fromkeys(names, name))


def read_as(scheduler, line):
    """The words of a directive: sbatch's `_get_argument`, and qsub's `string_list`."""
    if scheduler.name == "Slurm":
        text = line.removeprefix("#SBATCH ")
        assert not re.search(r"(?<!\\)(\\\\)*#", text)
        return shlex.split(text)
    found = re.findall(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+""", line.removeprefix("#$ "))
    return [re.sub("[\"']", "", word) for word in found]


def test_a_script_sets_its_environment_up():
    assert set_up(EVERYTHING, {"A": "b c"}).splitlines() == [
        "module load cuda/12",
        "source /home/me/venv/bin/activate",
        "export OMP_NUM_THREADS=4",
        "export A='b c'",
    ]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_of_the_set_up_is_one_word_of_the_shell(name):
    profile = Profile().model_copy(update={"modules": (name,), "conda": name})

    lines = set_up(profile, {"A": name})

    words = shlex.split(lines.replace('"$(conda shell.bash hook)"', "hook"))
    assert words == [
        *("module", "load", name),
        *("eval", "hook", "&&", "conda", "activate", name),
        *("export", "OMP_NUM_THREADS=1", "export", f"A={name}"),
    ]


@pytest.mark.parametrize("scheduler", [GridEngine(), Slurm()], ids=lambda one: one.name)
def test_a_preview_is_the_script_and_the_command(scheduler, options, jobs, tmp_path):
    options = replace(
        options,
        experiment_script=ROOT / "experiment.py",
        name="05 sweep",
        submit_args=("-p", "-5"),
    )

    preview = ClusterLauncher(scheduler, "launchers.x", options).preview(jobs).splitlines()

    assert preview[0] == "#!/bin/bash"
    assert any(line.endswith(("-N x05-sweep", "--job-name=x05-sweep")) for line in preview)
    assert f"-m deep_bottleneck.launching.task '{tmp_path}/output/05 sweep_DATE'" in preview[-3]
    assert preview[-1].endswith(f"-p -5 '{tmp_path}/output/05 sweep_DATE/{scheduler.template}'")
    assert not (tmp_path / "output").exists()


def test_an_edited_template_that_asks_too_much_is_one_sentence(tmp_path):
    template = tmp_path / "experiment.sge"
    template.write_text("#$ -M {{mail}}")

    with pytest.raises(ConfigError, match=r"experiment.sge: there is no value {{mail}}; there are"):
        fill_in(template, {"folder": "x"})


def test_ranges_of_waiting_tasks_and_jobs_of_others_are_read(answers):
    job = "<job_list state='{0}'><JB_job_number>{1}</JB_job_number><state>{2}</state>{3}</job_list>"
    rows = [
        job.format("running", 7, "r", "<tasks>1</tasks>"),
        job.format("pending", 7, "qw", "<tasks>2,4-8:2</tasks>"),
        job.format("pending", 8, "Eqw", ""),
    ]
    answers(qstat=f"<job_info><queue_info>{''.join(rows)}</queue_info></job_info>")

    assert GridEngine().listed() == {
        ("7", 1): Listed("running"),
        **{("7", task): Listed("queued") for task in (2, 4, 6, 8)},
        ("8", 1): Listed("queued", "Grid Engine: Eqw"),
    }


def test_squeue_is_read(answers):
    lines = "7|1|RUNNING|None\n7|2|PENDING|JobArrayTaskLimit\n8|N/A|PENDING|Priority\n"
    answers(squeue=lines + "7|3|PENDING|PartitionTimeLimit")

    assert Slurm().listed() == {
        ("7", 1): Listed("running"),
        ("7", 2): Listed("queued"),
        ("7", 3): Listed("queued", "Slurm: PartitionTimeLimit"),
    }


def test_what_the_accounting_knows(answers):
    entry = "taskid       {}\nfailed       {}\nexit_status  {}  "
    answers(
        qacct="\n".join(
            f"{'=' * 62}\n{entry.format(*task)}"
            for task in [(1, 0, 0), (2, "100 : x", 137), (3, "19  : before writing exit_status", 0)]
        ),
        sacct="7_1|COMPLETED\n7_2|OUT_OF_MEMORY\n7_3|RUNNING",
    )

    assert GridEngine().ended("7") == {
        1: "",
        2: "exit status 137",
        3: "Grid Engine: failed before writing exit_status",
    }
    assert Slurm().ended("7") == {1: "", 2: "Slurm: OUT_OF_MEMORY"}


@pytest.mark.parametrize("scheduler", [GridEngine(), Slurm()], ids=lambda one: one.name)
def test_without_the_scheduler_nothing_is_submitted(
    scheduler, options, jobs, monkeypatch, tmp_path
):
    shutil.copytree(ROOT / "infrastructure", tmp_path / "framework" / "infrastructure")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ConfigError, match=r"(qsub|sbatch) is not on the PATH"):
        ClusterLauncher(scheduler, "launchers.x", options).launch(jobs)

    assert not list((tmp_path / "output").iterdir())


def test_a_refusal_is_one_sentence_and_leaves_nothing(options, jobs, answers, tmp_path):
    shutil.copytree(ROOT / "infrastructure", tmp_path / "framework" / "infrastructure")
    answers(status=1, sbatch="sbatch: error: invalid partition specified: fast")

    with pytest.raises(ConfigError, match=r"Slurm took nothing: .*invalid partition"):
        ClusterLauncher(Slurm(), "launchers.slurm", options).launch(jobs)

    assert not list((tmp_path / "output").iterdir())
