"""The rows of Benchmarks/pipeline. Each gets an empty folder and says what ours and the peer's cost in the results."""

from .measure import Failure, alternate, say
from .projects import DVCProject, MLOpsProject, remove, set_aside
from .store_rows import Bench, dvc_version, side

#: The longest and the most memory that a run with nothing to do may take for 10,000 stages.
LARGE_SECONDS, LARGE_MIB = 2.0, 300.0


# MARK: Pipelines


class Pipelines:
    """The same pipeline for both: `pipelines/bench.yaml` of ours, `dvc.yaml` of DVC's."""

    def __init__(self, bench: Bench):
        self.ours = MLOpsProject(bench.folder / "ours")
        self.dvc = DVCProject(bench.folder / "dvc")
        for project in (self.ours, self.dvc):
            (project.folder / "pipelines").mkdir()
            (project.folder / "out").mkdir()

    def write(self, stages: dict) -> None:
        write_ours(self.ours, stages)
        lines = ["stages:"]
        for name, stage in stages.items():
            lines += [f"  {name}:", f"    cmd: '{stage['command']}'"]
            for key in ("deps", "outs"):
                if stage[key]:
                    lines += [f"    {key}:", *(f"      - {path}" for path in stage[key])]
        (self.dvc.folder / "dvc.yaml").write_text("\n".join(lines) + "\n")

    def run_both(self) -> None:
        self.ours.run(*RUN)
        self.dvc.run("repro", "--quiet")


RUN = ("pipeline", "run", "pipelines/bench.yaml", "--quiet")


def write_ours(project, stages: dict) -> None:
    lines = ["version: 1", "name: bench", "stages:"]
    for name, stage in stages.items():
        lines += [f"  {name}:", f"    run: '{stage['command']}'"]
        for key in ("deps", "outs"):
            if stage[key]:
                lines += [f"    {key}: [{', '.join(stage[key])}]"]
    (project.folder / "pipelines/bench.yaml").write_text("\n".join(lines) + "\n")


def chain(count: int) -> dict:
    """Each stage reads what the one before it wrote."""
    return {
        f"s{number:05}": dict(
            command=f"echo {number} > out/{number:05}.txt", deps=[f"out/{number - 1:05}.txt"] if number else [],
            outs=[f"out/{number:05}.txt"])
        for number in range(count)}


def trivial(count: int) -> dict:
    """Stages that run `true`. DVC runs a stage without dependencies and outputs whenever it is asked, so nothing is cached."""
    return {f"s{number:05}": dict(command="true", deps=[], outs=[]) for number in range(count)}


def expect_outputs(project, count: int):
    def check() -> None:
        found = len(list((project.folder / "out").glob("*.txt")))
        if found != count:
            raise Failure(f"`{project.folder}/out` has {found} files, not {count}")
    return check


# MARK: Side by side


def noop_of_a_chain(bench: Bench) -> None:
    """a chain of 100 stages is run again, and nothing has changed"""
    both = Pipelines(bench)
    both.write(chain(100))
    both.run_both()
    bench.compare(
        "no-op run of a chain of 100 stages", "DVC", dvc_version(), 50,
        side(both.ours, *RUN, check=expect_outputs(both.ours, 100)), side(both.dvc, "repro", "--quiet"))


def status_of_a_chain(bench: Bench) -> None:
    """the status of a chain of 100 stages, of which nothing has changed"""
    both = Pipelines(bench)
    both.write(chain(100))
    both.run_both()
    bench.compare(
        "status of a chain of 100 stages", "DVC", dvc_version(), 50,
        side(both.ours, "pipeline", "status", "pipelines/bench.yaml"), side(both.dvc, "status", "--quiet"))


def cold_run_of_trivial_stages(bench: Bench) -> None:
    """100 stages that run `true`, none of which is known"""
    both = Pipelines(bench)
    both.write(trivial(100))

    def forget() -> None:
        set_aside(both.ours.folder / ".mlops/cache")

    def forget_dvc() -> None:
        set_aside(both.dvc.folder / ".dvc/cache")
        remove(both.dvc.folder / "dvc.lock")

    bench.compare(
        "cold run of 100 stages that run `true`", "DVC", dvc_version(), 20,
        side(both.ours, *RUN, prepare=forget), side(both.dvc, "repro", "--quiet", prepare=forget_dvc))


def restore_from_the_run_cache(bench: Bench) -> None:
    """the outputs of 100 known stages are brought back without running any"""
    both = Pipelines(bench)
    both.write(chain(100))
    both.run_both()

    def forget() -> None:
        set_aside(both.ours.folder / "out")
        (both.ours.folder / "out").mkdir()

    def forget_dvc() -> None:
        set_aside(both.dvc.folder / "out")
        (both.dvc.folder / "out").mkdir()
        # Without its lock file it looks every stage up in its run cache, as ours does.
        remove(both.dvc.folder / "dvc.lock")

    bench.compare(
        "restore 100 stages from the run cache", "DVC", dvc_version(), 20,
        side(both.ours, *RUN, prepare=forget, check=expect_outputs(both.ours, 100)),
        side(both.dvc, "repro", "--quiet", prepare=forget_dvc, check=expect_outputs(both.dvc, 100)))


# MARK: Our own growth


def noop_of_10000_stages(bench: Bench) -> None:
    """a chain of 10,000 stages is run again, and nothing has changed"""
    ours = MLOpsProject(bench.folder / "ours")
    (ours.folder / "pipelines").mkdir()
    (ours.folder / "out").mkdir()
    write_ours(ours, chain(10_000))
    ours.run(*RUN)
    # The first look after a run still reads the youngest files.
    ours.run(*RUN)
    cost = alternate({"mlops": side(ours, *RUN)}, bench.runs)["mlops"]
    more = dict(ours_cpu=round(cost.cpu, 3), ours_peak_mib=round(cost.peak), runs=bench.runs,
                ours_range=[round(value, 3) for value in cost.spread])
    bench.results.add("no-op run of 10,000 stages, time", "the bar", "", cost.wall, LARGE_SECONDS, "s", 1, **more)
    bench.results.add("no-op run of 10,000 stages, memory", "the bar", "", cost.peak, LARGE_MIB, "MiB", 1, runs=bench.runs)


def scheduling_cost_per_stage(bench: Bench) -> None:
    """what one stage that runs `true` costs among 10,000, against what it costs among 100"""
    cost = {}
    for count in (100, 10_000):
        ours = MLOpsProject(bench.folder / f"ours-{count}")
        (ours.folder / "pipelines").mkdir()
        write_ours(ours, trivial(count))
        folder = ours.folder / ".mlops/cache"
        runs = bench.runs if count > 100 else bench.runs * 10
        whole = alternate({"mlops": side(ours, *RUN, prepare=lambda: set_aside(folder))}, runs)["mlops"]
        start = alternate({"mlops": side(ours, "--version")}, 5)["mlops"]
        cost[count] = (whole.wall - start.wall) / count * 1000
        say(f"  {count} stages: {cost[count]:.3f} ms a stage")
    bench.results.add(
        "a stage among 10,000", "a stage among 100", "", cost[10_000], cost[100], "ms", 0.8, runs=bench.runs)


ALL = [
    noop_of_a_chain, status_of_a_chain, cold_run_of_trivial_stages, restore_from_the_run_cache, noop_of_10000_stages,
    scheduling_cost_per_stage,
]
