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
