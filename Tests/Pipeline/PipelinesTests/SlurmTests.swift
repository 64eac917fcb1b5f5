import Basics
import Foundation
import TestSupport
import Testing

@testable import Pipelines

struct SlurmTests {
    /// What a real `squeue` of Slurm 22.05 printed of jobs that ended in every way.
    private func captured() throws -> [String: SlurmJob] {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/slurm/squeue-22.05.txt").path()
        let lines = try FileSystem.readText(path).split(separator: "\n")
        let jobs = lines.compactMap { SlurmJob(line: $0) }
        #expect(jobs.count == lines.count)
        return Dictionary(uniqueKeysWithValues: jobs.map { ($0.id, $0) })
    }

    private func ending(_ status: StageEnding.Status, _ stop: StageEnding.StopReason? = nil) -> SlurmEnding {
        let usage = ResourceUsage(wall: .seconds(1), userSeconds: 0.5, systemSeconds: 0.1, peakByteCount: 1 << 20)
        return SlurmEnding(
            StageEnding(status: status, usage: usage, stop: stop, lastLines: []), attempt: 0, energy: nil, node: "n1")
    }

    @Test func realLinesAreRead() throws {
        let jobs = try captured()
        let job = try #require(jobs["7"])
        #expect(job.state == .completed && job.restarts == 1 && job.nodes == "n4" && job.reason.isEmpty)
        #expect(jobs["2"]?.exitCode == 7 && jobs["2"]?.signal == 0)
        #expect(jobs["3"]?.signal == 11)
        #expect(jobs["11"]?.nodes == "n[1-4]")
        #expect(jobs["9"]?.reason == "DependencyNeverSatisfied")
        #expect(SlurmJob(line: "slurm_load_jobs error: Unable to contact slurm controller") == nil)
        #expect(SlurmJob(line: "") == nil)
    }

    @Test func laterVersionsWriteTheExitCodeInAnotherWay() {
        let line = "12".padded(24) + "FAILED".padded(20) + "0".padded(10) + "7:0".padded(12) + "NonZeroExitCode"
        #expect(SlurmJob(line: line)?.exitCode == 7)
    }

    @Test func whatIsHeldIsToldFromWhatWaits() {
        func job(_ state: String, _ reason: String) -> SlurmJob? {
            SlurmJob(
                line: "12".padded(24) + state.padded(20) + "1".padded(10) + "0".padded(12) + reason.padded(64) + "n1")
        }
        #expect(job("PENDING", "launch failed requeued held")?.isLaunchFailure == true)
        let held = job("PENDING", "JobHeldUser")
        #expect(held?.isHeld == true && held?.isLaunchFailure == false)
        #expect(job("REQUEUE_HOLD", "None")?.isHeld == true)
        #expect(job("PENDING", "Dependency")?.isHeld == false && job("RUNNING", "None")?.isHeld == false)
    }

    @Test func statesBecomeOutcomes() throws {
        let jobs = try captured()
        let memory = "slurmstepd-n1: error: Exceeded job memory limit\n"
        let expected: [(String, SlurmEnding?, String, SlurmOutcome)] = [
            ("1", ending(.exited(0)), "", .ended(.exited(0))),
            ("2", ending(.exited(7)), "", .ended(.exited(7))),
            ("2", nil, "", .ended(.exited(7))),
            ("3", ending(.signalled(11)), "", .ended(.signalled(11))),
            ("4", nil, memory, .outOfMemory),
            ("4", ending(.signalled(9)), memory, .outOfMemory),
            ("5", ending(.signalled(15), .cancelled), "", .cancelled("")),
            ("5", nil, "", .cancelled("")),
            ("6", ending(.signalled(15), .cancelled), "", .limitReached),
            ("2", ending(.signalled(15), .timeout), "", .timedOut),
            ("7", ending(.exited(0)), "", .ended(.exited(0))),
            ("8", ending(.signalled(15), .cancelled), "", .nodeFailed("n3")),
            ("9", nil, "", .cancelled("DependencyNeverSatisfied")),
            ("10", nil, "", .unstartable("BadConstraints")),
        ]
        for (id, ending, output, outcome) in expected {
            #expect(SlurmOutcome(jobs[id], ending, output: output) == outcome, "job \(id)")
        }
        #expect(SlurmOutcome(nil, nil, output: "") == .lost)
        #expect(SlurmOutcome(nil, ending(.exited(0)), output: "") == .ended(.exited(0)))
    }

    @Test func aJobThatItsNodeDidNotBeginIsToldFromAProgramThatFailed() throws {
        let jobs = try captured()
        let job = try #require(jobs["2"])
        #expect(SlurmOutcome(job, nil, output: "", hasBegun: false) == .unstarted(job.nodes))
        #expect(SlurmOutcome(job, nil, output: "", hasBegun: true) == .ended(.exited(7)))
        #expect(SlurmOutcome(jobs["1"], nil, output: "", hasBegun: false) == .ended(.exited(0)))
        let waited = SlurmEnding(unbegun: 0, node: "n1")
        #expect(SlurmOutcome(job, waited, output: "").isUnbegun)
        #expect(SlurmOutcome(jobs["9"], nil, output: "", hasBegun: false).isUnbegun)
        #expect(!SlurmOutcome(jobs["5"], nil, output: "", hasBegun: false).isUnbegun, "somebody cancelled it")
    }

    // MARK: Orders

    private func order(_ line: String, in folder: String, secrets: [String] = []) -> SlurmOrder {
        SlurmOrder(
            stage: "a", executable: "/bin/sh", arguments: ["/bin/sh", "-c", line], directory: folder,
            timeoutSeconds: nil, graceSeconds: 1, outs: [FileSystem.join(folder, "out")], secrets: secrets)
    }

    @Test func aJobDoesNothingUntilItsOrderIsWhole() async throws {
        let folder = try TemporaryFolder()
        try SlurmOrder.prepare(in: folder.path)
        #expect(try SlurmOrder.read(from: folder.path) == nil)
        let order = order("echo done > out", in: folder.path)
        let bytes = try JSONValue(encoding: order).canonicalBytes
        try folder.write("order.json", String(decoding: bytes.prefix(bytes.count / 2), as: UTF8.self))
        #expect(try SlurmOrder.read(from: folder.path) == nil)
        let job = Task { [path = folder.path] in
            try await SlurmOrder.perform(in: path, environment: ["PATH": "/usr/bin:/bin"], meter: FakeMeter())
        }
        try await Task.sleep(for: .milliseconds(500))
        #expect(!FileSystem.exists(folder("out")))
        try SlurmOrder.prepare(in: folder.path)
        try order.write(to: folder.path)
        #expect(try await job.value == 0)
        #expect(FileSystem.exists(folder("out")))
        #expect(try SlurmEnding.read(from: folder.path, attempt: 0)?.isSuccess == true)
    }

    @Test func aJobWithoutAnOrderEndsAndSaysSo() async throws {
        let folder = try TemporaryFolder()
        try SlurmOrder.prepare(in: folder.path)
        await #expect {
            _ = try await SlurmOrder.perform(
                in: folder.path, environment: [:], meter: FakeMeter(), patience: .milliseconds(300))
        } throws: { error in
            (error as? MLOpsError)?.message.contains("not told to begin") == true
        }
        let ending = try #require(try SlurmEnding.read(from: folder.path, attempt: 0))
        #expect(SlurmOutcome(nil, ending, output: "") == .unbegun)
        try FileSystem.removeTree(folder.path)
        await #expect(throws: MLOpsError.self, "its folder was taken away") {
            _ = try await SlurmOrder.perform(in: folder.path, environment: [:], meter: FakeMeter())
        }
    }

    @Test func theNodeWritesNoSecretDown() async throws {
        let folder = try TemporaryFolder()
        try SlurmOrder.prepare(in: folder.path)
        let secret = "c4nary/\"S3cret+val ue"
        try order("echo \"begin $TOKEN end\"; printf %s \"$TOKEN\" | base64", in: folder.path, secrets: ["TOKEN"])
            .write(to: folder.path)
        let environment = ["PATH": "/usr/bin:/bin", "TOKEN": secret]
        #expect(try await SlurmOrder.perform(in: folder.path, environment: environment, meter: FakeMeter()) == 0)
        let names = try FileSystem.list(folder.path)
        #expect(names.contains("output-0.log"))
        for name in names { #expect(!(try SecretMasker([secret]).finds(inFile: folder(name))), "\(name)") }
        #expect(try folder.read("output-0.log").starts(with: Array("begin *** end".utf8)))
    }

    @Test func everyStateIsWaitingRunningOrFinal() {
        for state in SlurmState.allCases where state.isFinal { #expect(!state.isWaiting) }
        #expect(SlurmState.allCases.count { $0.isFinal } == 10)
    }

    @Test func whatAStageAsksForBecomesArguments() {
        var submission = SlurmSubmission(
            name: "p.train", token: "abc", directory: "/data/my repo", output: "/x/slurm.log")
        submission.cpus = 4
        submission.memoryByteCount = 1_500_000_000
        submission.gpus = 1
        submission.timeLimit = .seconds(601)
        submission.partition = "gpu"
        submission.account = "lab"
        submission.qos = "high"
        submission.after = ["7", "8"]
        submission.options = ["--exclude=n3"]
        for argument in [
            "--parsable", "--job-name=p.train", "--comment=mlops abc", "--chdir=/data/my repo", "--cpus-per-task=4",
            "--mem=1431M", "--gpus=1", "--time=11", "--partition=gpu", "--account=lab", "--qos=high", "--requeue",
            "--dependency=afterok:7:8", "--kill-on-invalid-dep=yes", "--open-mode=append", "--exclude=n3",
        ] {
            #expect(submission.arguments.contains(argument), "\(argument)")
        }
        submission.needsSuccess = false
        #expect(submission.arguments.contains("--dependency=afterany:7:8"))
        #expect(submission.hint(for: "Invalid partition name specified").contains("sinfo"))
    }

    @Test func anEndingIsReadAsItWasWritten() throws {
        let folder = try TemporaryFolder()
        #expect(try SlurmEnding.read(from: folder.path, attempt: 0) == nil)
        try ending(.exited(3)).write(to: folder.path)
        let read = try #require(try SlurmEnding.read(from: folder.path, attempt: 0))
        #expect(read.status == .exited(3) && read.usage.peakByteCount == 1 << 20 && read.node == "n1")
        #expect(try SlurmEnding.last(in: folder.path)?.status == .exited(3))
    }

    @Test func recordsOutliveTheRun() throws {
        let folder = try TemporaryFolder()
        let records = SlurmRecords(workspace: folder.path, pipeline: "p")
        #expect(records["train"] == nil && records.stages.isEmpty)
        try records.save(
            SlurmRecord(stage: "train", name: "p.train", token: "t", fingerprint: "f", folder: "/x", job: nil))
        #expect(records["train"]?.token == "t" && records.stages == ["train"])
        try records.remove("train")
        #expect(records["train"] == nil)
    }

    @Test func aMissingProgramIsToldWithWhatToDo() async throws {
        let client = SlurmClient(environment: ["PATH": "/nowhere"])
        await #expect {
            _ = try await client.jobs()
        } throws: { error in
            (error as? MLOpsError)?.message.contains("`squeue` is not in `PATH`") == true
        }
    }
}

extension String {
    fileprivate func padded(_ count: Int) -> String { self + String(repeating: " ", count: max(0, count - self.count)) }
}
