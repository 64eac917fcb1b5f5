import Basics
import Foundation
import Glibc
import TestSupport
import Testing

enum SlurmCluster {
    static let isThere = ProcessInfo.processInfo.environment["MLOPS_TEST_SLURM"] != nil
}

/// Stages as jobs of a real Slurm cluster of four nodes, which `Scripts/slurm-cluster` starts.
@Suite(.serialized, .enabled(if: SlurmCluster.isThere, "no Slurm cluster: run the tests with `Scripts/run-tests`"))
struct SlurmTests {
    /// A project with one pipeline whose stages go to Slurm.
    private func project(_ stages: String) throws -> Project {
        let project = try Project()
        let indented = stages.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }
        try project.folder.write(
            "pipelines/p.yaml",
            "version: 1\nname: cluster\nexecutor: slurm\nstages:\n" + indented.joined(separator: "\n") + "\n")
        return project
    }

    private func run(_ project: Project) throws -> ProgramResult {
        try project.mlops("pipeline", "run", "pipelines/p.yaml", "--keep-going")
    }

    /// The user's jobs in the cluster's own words: `id state restarts nodes`.
    private func jobs(in project: Project) throws -> [[String]] {
        let format = "JobID:20,State:20,RestartCnt:10,NodeList:40"
        return try Program.run(
            "squeue", ["--noheader", "--states=all", "--Format=\(format)"], in: project.path
        ).output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    }

    private func job(of stage: String, in project: Project) throws -> String? {
        try Program.run(
            "squeue", ["--noheader", "--states=running", "--name=cluster.\(stage)", "--Format=JobID:20"],
            in: project.path
        ).output.split(separator: "\n").last.map { String($0.prefix { $0 != " " }) }
    }

    private func waitForJob(of stage: String, in project: Project) throws -> String {
        for _ in 0..<300 {
            if let id = try job(of: stage, in: project) { return id }
            usleep(100_000)
        }
        throw MLOpsError(.failed, "no job of `\(stage)` came to run")
    }

    private func record(in project: Project) throws -> JSONValue {
        let run = try #require(try FileSystem.list(project.folder(".mlops/runs")).sorted().last)
        return try JSONValue(parsing: try project.folder.read(".mlops/runs/\(run)/run.json"), source: "run.json")
    }

    @Test func stagesRunOnTheirNodesAndPassOnTheirResults() throws {
        let project = try project(
            """
            a: { run: "hostname > a.txt; echo $SLURMD_NODENAME says hello", outs: [a.txt], resources: { cpus: 2, memory: 300MiB } }
            b: { run: "cat a.txt a.txt > b.txt", deps: [a.txt], outs: [b.txt], executor: { slurm: { partition: short } } }
            """)
        let result = try run(project)
        #expect(result.exitCode == 0, "\(result.all)")
        #expect(FileSystem.exists(project.folder("b.txt")))
        let stages = try #require(try record(in: project)["stages"]?.array)
        #expect(stages[0]["place"]?["executor"] == "slurm" && stages[0]["place"]?["nodes"]?.string?.first == "n")
        let name = try #require(try FileSystem.list(project.folder(".mlops/runs")).first)
        let log = try FileSystem.readText(project.folder(".mlops/runs/\(name)/a.log"))
        #expect(log.contains("says hello"), "\(log)")
        #expect(log.contains("runs on `n") || log.contains("ran on `n"), "\(log)")
        let again = try run(project)
        #expect(again.output.contains("0 ran, 2 cached"), "\(again.all)")
    }

    @Test func aFailureATimeoutAndALackOfMemoryAreToldApart() throws {
        let project = try project(
            """
            fails: { run: "echo why it failed; exit 7", outs: [a] }
            hangs: { run: sleep 100, outs: [b], timeout: 2s }
            eats:
              run: [python3, -c, "import time; x = bytearray(b'1') * 900000000; time.sleep(30)"]
              outs: [c]
              resources: { memory: 200MiB }
            large: { run: "true", outs: [d], resources: { memory: 900GiB } }
            after: { run: "true", deps: [a], outs: [e] }
            """)
        let result = try run(project)
        #expect(result.exitCode == 1, "\(result.all)")
        let stages = try #require(try record(in: project)["stages"]?.array)
        func error(_ index: Int) -> String { stages[index]["error"]?["message"]?.string ?? "none" }
        #expect(error(0).contains("failed with exit code 7") && stages[0]["exitCode"] == 7, "\(error(0))")
        #expect(error(1).contains("ran longer than its timeout of 2.00 s"), "\(error(1))")
        #expect(error(2).contains("used more memory than its limit of 200.0 MiB"), "\(error(2))")
        #expect(error(3).contains("Slurm did not take the job"), "\(error(3))")
        #expect(stages[4]["state"] == "skipped")
    }

    @Test func aJobThatSomebodyCancelsHasFailed() throws {
        let project = try project("waits: { run: sleep 100, outs: [a] }")
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let id = try waitForJob(of: "waits", in: project)
        try Program.run("scancel", [id], in: project.path)
        process.waitUntilExit()
        #expect(process.terminationStatus == 1)
        let stage = try #require(try record(in: project)["stages"]?.array?.first)
        #expect(stage["state"] == "failed")
        #expect(stage["error"]?["message"]?.string?.contains("was cancelled from outside") == true, "\(stage)")
    }

    @Test func aJobIsStartedAgainWhenItsNodeFails() throws {
        let project = try project(
            """
            twice: { run: "ls half.txt; echo begun > half.txt; [ ${SLURM_RESTART_COUNT:-0} -gt 0 ] || sleep 100; echo done > all.txt", outs: [half.txt, all.txt] }
            """.replacing("${SLURM", with: "$${SLURM"))
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let id = try waitForJob(of: "twice", in: project)
        let node = try #require(try jobs(in: project).first { $0[0] == id }?.last)
        let name = try #require(try FileSystem.list(project.folder(".mlops/runs")).first)
        let path = project.folder(".mlops/runs/\(name)/twice.log")
        try Program.run(
            "scontrol", ["update", "NodeName=\(node)", "State=DOWN", "Reason=test"], in: project.path)
        // Slurm waits two minutes before it starts such a job again, unless somebody says that it may.
        for _ in 0..<100 {
            if try jobs(in: project).contains(where: { $0[0] == id && $0[1] == "PENDING" }) { break }
            usleep(100_000)
        }
        try Program.run("scontrol", ["update", "JobId=\(id)", "StartTime=now"], in: project.path)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let stage = try #require(try record(in: project)["stages"]?.array?.first)
        #expect(stage["state"] == "succeeded" && stage["place"]?["restarts"] == 1, "\(stage)")
        let log = try FileSystem.readText(path)
        // The node's name is told if somebody saw the job run there before it failed.
        #expect(log.contains("lost its node") && log.contains("is back in the queue"), "\(log)")
        #expect(!log.contains("\nhalf.txt"), "the second attempt must not see what the first one wrote: \(log)")
        try Program.run("scontrol", ["update", "NodeName=\(node)", "State=RESUME"], in: project.path)
    }

    @Test func anInterruptionCancelsTheJobs() throws {
        let project = try project("a: { run: sleep 100, outs: [a] }\nb: { run: sleep 100, outs: [b] }")
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let ids = [try waitForJob(of: "a", in: project), try waitForJob(of: "b", in: project)]
        kill(process.processIdentifier, SIGINT)
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        #expect(try record(in: project)["outcome"] == "interrupted")
        let left = try jobs(in: project).filter { ids.contains($0[0]) }
        #expect(left.allSatisfy { $0[1] == "CANCELLED" }, "\(left)")
        #expect(try FileSystem.list(project.folder(".mlops/cache/slurm/cluster")).isEmpty)
    }

    @Test func aJobOfAKilledRunIsTakenUpAgainOrEnded() throws {
        let spec = "work: { run: \"sleep 6; echo $SECONDS_MARK; date +%N > a\", outs: [a], env: { SECONDS_MARK: one } }"
        let project = try project(spec)
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let id = try waitForJob(of: "work", in: project)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let result = try run(project)
        #expect(result.exitCode == 0, "\(result.all)")
        let stage = try #require(try record(in: project)["stages"]?.array?.first)
        #expect(stage["place"]?["job"]?.string == id, "\(stage)")
        // Other work of the same stage: the old job is ended before the new one starts.
        try project.folder.write(
            "pipelines/p.yaml",
            FileSystem.readText(project.folder("pipelines/p.yaml")).replacing("one", with: "two"))
        let second = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let old = try waitForJob(of: "work", in: project)
        kill(second.processIdentifier, SIGKILL)
        second.waitUntilExit()
        try project.folder.write(
            "pipelines/p.yaml",
            FileSystem.readText(project.folder("pipelines/p.yaml")).replacing("two", with: "three"))
        #expect(try run(project).exitCode == 0)
        let state = try jobs(in: project).first { $0[0] == old }?[1]
        #expect(state == "CANCELLED")
    }

    @Test func censusRunsOnFourNodes() throws {
        let project = try ExampleTests.project()
        let path = project.folder("pipelines/census.yaml")
        try FileSystem.replace(
            path,
            with: Array(
                try FileSystem.readText(path).replacing("name: census\n", with: "name: census\nexecutor: slurm\n").utf8)
        )
        let result = try project.mlops("pipeline", "run", "pipelines/census.yaml")
        try result.expectSuccess()
        let stages = try #require(try record(in: project)["stages"]?.array)
        #expect(stages.count == 11 && stages.allSatisfy { $0["place"]?["executor"] == "slurm" })
        #expect(stages.allSatisfy { ($0["energy"]?["joules"]?.number ?? 0) > 0 })
        let shown = try project.mlops("registry", "show", "models/census@production")
        #expect(shown.output.contains("models/census@v1") && shown.output.contains("gate"), "\(shown.all)")
    }
}
