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

    /// The ids of the stages' waiting jobs, once there is one of each; the reason that Slurm gives is that they wait for others.
    private func waitForWaitingJobs(of stages: [String], in project: Project) throws -> [String] {
        for _ in 0..<300 {
            let lines = try Program.run(
                "squeue", ["--noheader", "--states=pending", "--Format=JobID:20,Name:40,Reason:40"], in: project.path
            ).output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            let ids = stages.compactMap { stage in
                lines.last { $0.count == 3 && $0[1] == "cluster.\(stage)" && $0[2] == "Dependency" }?[0]
            }
            if ids.count == stages.count { return ids }
            usleep(100_000)
        }
        throw MLOpsError(.failed, "no jobs of \(stages) wait for others")
    }

    private func state(of id: String, in project: Project) throws -> String? {
        try jobs(in: project).last { $0[0] == id }?[1]
    }

    private func waitForState(_ state: String, of id: String, in project: Project) throws -> Bool {
        for _ in 0..<100 {
            if try self.state(of: id, in: project) == state { return true }
            usleep(100_000)
        }
        return false
    }

    private func stages(in project: Project) throws -> [JSONValue] {
        try #require(try record(in: project)["stages"]?.array)
    }

    private func log(of stage: String, in project: Project) throws -> String {
        let run = try #require(try FileSystem.list(project.folder(".mlops/runs")).sorted().last)
        return try FileSystem.readText(project.folder(".mlops/runs/\(run)/\(stage).log"))
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

    /// Early: while the first attempt begins. Late: when it has run for a while and its node is known.
    @Test(arguments: [false, true]) func aJobIsStartedAgainWhenItsNodeFails(_ isLate: Bool) throws {
        let project = try project(
            """
            twice: { run: "ls half.txt; [ ${SLURM_RESTART_COUNT:-0} -gt 0 ] || [ -e first ] || { touch first; echo begun > half.txt; sleep 100; }; echo done > half.txt; echo done > all.txt", outs: [half.txt, all.txt] }
            """.replacing("${SLURM", with: "$${SLURM"))
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let id = try waitForJob(of: "twice", in: project)
        let node = try #require(try jobs(in: project).first { $0[0] == id }?.last)
        for _ in 0..<100 where isLate {
            if try log(of: "twice", in: project).contains("runs on `\(node)`") { break }
            usleep(100_000)
        }
        try Program.run(
            "scontrol", ["update", "NodeName=\(node)", "State=DOWN", "Reason=test"], in: project.path)
        // Slurm waits two minutes before it starts such a job again, unless somebody says that it may. A node that is back by
        // then may refuse the job, which is submitted again.
        for _ in 0..<100 {
            if try jobs(in: project).contains(where: { $0[0] == id && $0[1] == "PENDING" }) { break }
            usleep(100_000)
        }
        try Program.run("scontrol", ["update", "JobId=\(id)", "StartTime=now"], in: project.path)
        process.waitUntilExit()
        let log = try log(of: "twice", in: project)
        #expect(process.terminationStatus == 0, "\(log)")
        let stage = try #require(try stages(in: project).first)
        #expect(stage["state"] == "succeeded" && stage["place"]?["restarts"] == 1, "\(stage)")
        // The node's name is told if somebody saw the job run there before it failed.
        #expect(log.contains("lost its node") && log.contains("is back in the queue"), "\(log)")
        if isLate { #expect(log.contains("lost its node `\(node)`"), "\(log)") }
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

    // MARK: Order in the queue

    private static let chain = """
        a: { run: "sleep 4; echo 1 > a", outs: [a] }
        b: { run: "cat a > b; echo x >> b.count", deps: [a], outs: [b] }
        c: { run: "cat b > c; echo x >> c.count", deps: [b], outs: [c] }
        """

    private func text(_ name: String, in project: Project) throws -> String {
        try FileSystem.readText(project.folder(name))
    }

    @Test func stagesWaitForEachOtherInTheQueue() throws {
        let project = try project(Self.chain)
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let ids = try waitForWaitingJobs(of: ["b", "c"], in: project)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let places = try stages(in: project).map { $0["place"]?["job"]?.string }
        #expect(places.dropFirst() == [ids[0], ids[1]])
        #expect(try text("c", in: project) == "1\n")
        #expect(try text("b.count", in: project) == "x\n" && text("c.count", in: project) == "x\n")
        #expect(try log(of: "b", in: project).contains("is in the queue already, and may begin"))
        let dependency = try Program.run(
            "scontrol", ["show", "job", ids[1]], in: project.path
        ).output
        #expect(dependency.contains("ExitCode=0:0"), "\(dependency)")
        #expect(try FileSystem.list(project.folder(".mlops/cache/slurm/cluster")).isEmpty)
    }

    @Test func aStageWhoseResultsAreKnownGivesItsPlaceBack() throws {
        let project = try project(
            Self.chain.replacing("a: { run", with: "a: { always_changed: true, run"))
        #expect(try run(project).exitCode == 0)
        try FileSystem.removeFile(project.folder("c"))
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let ids = try waitForWaitingJobs(of: ["b", "c"], in: project)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(try stages(in: project).map { $0["cached"] == true } == [false, true, true])
        for id in ids { #expect(try state(of: id, in: project) == "CANCELLED") }
        #expect(try text("c", in: project) == "1\n", "it is restored")
        #expect(try text("b.count", in: project) == "x\n" && text("c.count", in: project) == "x\n")
    }

    @Test func aFailureLeavesNoJobBehind() throws {
        let project = try project(
            Self.chain.replacing("sleep 4; echo 1 > a", with: "sleep 4; exit 7")
                + "\nlast: { run: \"echo x >> last.count\", needs: [c], always: true }")
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let ids = try waitForWaitingJobs(of: ["b", "c", "last"], in: project)
        process.waitUntilExit()
        #expect(process.terminationStatus == 1)
        let stages = try stages(in: project)
        #expect(stages.map { $0["state"]?.string } == ["failed", "skipped", "skipped", "succeeded"])
        for id in ids { #expect(try waitForState("CANCELLED", of: id, in: project), "job \(id)") }
        #expect(!FileSystem.exists(project.folder("b.count")) && !FileSystem.exists(project.folder("c.count")))
        #expect(try text("last.count", in: project) == "x\n")
        #expect(try FileSystem.list(project.folder(".mlops/cache/slurm/cluster")).isEmpty)
    }

    @Test func anotherAttemptIsWaitedForToo() throws {
        let project = try project(
            Self.chain.replacing("a: {", with: "a: { retries: { max: 1, delay: 1s },")
                .replacing("sleep 4;", with: "sleep 3; [ -e once ] || { touch once; exit 3; };"))
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let first = try waitForWaitingJobs(of: ["b", "c"], in: project)
        #expect(try waitForState("CANCELLED", of: first[0], in: project))
        let second = try waitForWaitingJobs(of: ["b", "c"], in: project)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(try stages(in: project).dropFirst().map { $0["place"]?["job"]?.string } == [second[0], second[1]])
        #expect(try text("b.count", in: project) == "x\n" && text("c.count", in: project) == "x\n")
    }

    @Test func anInterruptionAndADeathLeaveNoJobThatRunsByItself() throws {
        let project = try project(Self.chain)
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let ids = [try waitForJob(of: "a", in: project)] + (try waitForWaitingJobs(of: ["b", "c"], in: project))
        kill(process.processIdentifier, SIGINT)
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        #expect(try stages(in: project).map { $0["state"]?.string } == ["interrupted", "skipped", "skipped"])
        for id in ids { #expect(try waitForState("CANCELLED", of: id, in: project), "job \(id)") }
        #expect(try FileSystem.list(project.folder(".mlops/cache/slurm/cluster")).isEmpty)

        let second = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        let running = try waitForJob(of: "a", in: project)
        let waiting = try waitForWaitingJobs(of: ["b", "c"], in: project)
        kill(second.processIdentifier, SIGKILL)
        second.waitUntilExit()
        // The turn of `b` comes, but not its order.
        #expect(try waitForState("RUNNING", of: waiting[0], in: project))
        #expect(!FileSystem.exists(project.folder("b")))
        let third = try run(project)
        #expect(third.exitCode == 0, "\(third.all)")
        #expect(try stages(in: project).first?["place"]?["job"]?.string == running)
        for id in waiting { #expect(try waitForState("CANCELLED", of: id, in: project), "job \(id)") }
        #expect(try text("b.count", in: project) == "x\n" && text("c.count", in: project) == "x\n")
    }

    // MARK: Secrets

    @Test func aSecretIsWrittenDownNowhere() throws {
        let canary = "c4nary/S3cret+val ue=10000%"
        let project = try project(
            """
            a:
              run: [python3, print.py]
              deps: [print.py]
              outs: [a]
              secrets: [CANARY]
            b: { run: "echo $CANARY; cat a > b", deps: [a], outs: [b], secrets: [CANARY] }
            """)
        try project.folder.write(
            "print.py",
            "import base64, os, time, urllib.parse\nt = os.environ['CANARY']\n"
                + "print(t, base64.b64encode(t.encode()).decode(), urllib.parse.quote(t, safe=''), flush=True)\n"
                + "time.sleep(4)\nopen('a', 'w').write('1')\n")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try Program.path)
        process.arguments = ["pipeline", "run", "pipelines/p.yaml"]
        process.currentDirectoryURL = URL(fileURLWithPath: project.path)
        process.environment = ProcessInfo.processInfo.environment.merging(["CANARY": canary]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        _ = try waitForWaitingJobs(of: ["b"], in: project)
        let encoded = Data(canary.utf8).base64EncodedString()
        let quoted = "c4nary%2FS3cret%2Bval%20ue%3D10000%25"
        func expectNowhere() throws {
            for form in [canary, encoded, quoted] {
                let found = try Program.run("grep", ["-rlaF", "-e", form, project.path], in: project.path)
                #expect(found.exitCode == 1 && found.output.isEmpty, "\(form): \(found.all)")
            }
        }
        // While the node writes, and after all is done.
        for _ in 0..<100 {
            if try log(of: "a", in: project).contains("***") { break }
            usleep(100_000)
        }
        try expectNowhere()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(try log(of: "a", in: project).split(separator: "***", omittingEmptySubsequences: false).count == 4)
        #expect(try log(of: "b", in: project).contains("***"))
        try expectNowhere()
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

    private func census() throws -> Project {
        let project = try ExampleTests.project()
        let path = project.folder("pipelines/census.yaml")
        let text = try FileSystem.readText(path)
        try FileSystem.replace(
            path, with: Array(text.replacing("name: census\n", with: "name: census\nexecutor: slurm\n").utf8))
        return project
    }

    @Test func censusRunsOnFourNodes() throws {
        let project = try census()
        let result = try project.mlops("pipeline", "run", "pipelines/census.yaml")
        try result.expectSuccess()
        let stages = try #require(try record(in: project)["stages"]?.array)
        #expect(stages.count == 11 && stages.allSatisfy { $0["place"]?["executor"] == "slurm" })
        #expect(stages.allSatisfy { ($0["energy"]?["joules"]?.number ?? 0) > 0 })
        let shown = try project.mlops("registry", "show", "models/census@production")
        #expect(shown.output.contains("models/census@v1") && shown.output.contains("gate"), "\(shown.all)")
    }

    @Test func anInterruptedCensusLeavesNoJobAndIsTakenOn() throws {
        let project = try census()
        let process = try Program.start(["pipeline", "run", "pipelines/census.yaml"], in: project.path)
        func jobs() throws -> [String] {
            try Program.run(
                "squeue", ["--noheader", "--states=pending,running,completing", "--Format=Name:40,State:20"],
                in: project.path
            ).output.split(separator: "\n").filter { $0.hasPrefix("census.") }.map(String.init)
        }
        // The stage that trains runs, and the last one waits already.
        for _ in 0..<300 {
            let jobs = try jobs()
            let isRunning = jobs.contains { $0.hasPrefix("census.train ") && $0.contains("RUNNING") }
            if isRunning, jobs.contains(where: { $0.hasPrefix("census.promote ") }) { break }
            usleep(50_000)
        }
        kill(process.processIdentifier, SIGINT)
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        #expect(try record(in: project)["outcome"] == "interrupted")
        let states = try stages(in: project).map { $0["state"]?.string }
        #expect(states[0] == "succeeded" && states[1] == "interrupted", "\(states)")
        #expect(states.dropFirst(2).allSatisfy { $0 == "skipped" }, "\(states)")
        let reasons = try stages(in: project).flatMap { $0["reasons"]?.array ?? [] }.compactMap { $0["text"]?.string }
        #expect(reasons.contains("`train` was interrupted") && !reasons.contains("`train` failed"), "\(reasons)")
        for _ in 0..<100 where !(try jobs().isEmpty) { usleep(100_000) }
        #expect(try jobs().isEmpty)
        #expect(try FileSystem.list(project.folder(".mlops/cache/slurm/census")).isEmpty)
        let again = try project.mlops("pipeline", "run", "pipelines/census.yaml")
        #expect(again.exitCode == 0 && again.output.contains("10 ran, 1 cached"), "\(again.all)")
    }
}
