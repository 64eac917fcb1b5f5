internal import Basics

/// Puts stages into the queues of their executors before they may start, and takes them out again: one after another, in the
/// order of the calls, while the run goes on.
///
/// Only the task that leads the run touches it.
final class StageExpectations {
    private let runner: PipelineRunner
    private let surroundings: RunSurroundings
    private let runID: String
    private let notices: RunNotices
    private var last: Task<Void, Never>?
    private var lastOfStage: [Int: Task<Void, Never>] = [:]

    init(runner: PipelineRunner, surroundings: RunSurroundings, runID: String, notices: RunNotices) {
        self.runner = runner
        self.surroundings = surroundings
        self.runID = runID
        self.notices = notices
    }

    /// Whether it is in the queue is told as a notice.
    func expect(_ index: Int, behind others: [Int]) {
        let (runner, surroundings, runID, notices) = (runner, surroundings, runID, notices)
        let stage = runner.pipeline.stages[index]
        let names = others.map { runner.pipeline.stages[$0].name }
        append(index) {
            // What is wrong with it is told when it is its turn to start.
            var isExpected = false
            if let executor = try? runner.executor(for: stage),
                let setup = try? surroundings.setup(of: stage, runner.pipeline, run: runID)
            {
                isExpected = await executor.expect(setup, behind: names)
            }
            notices.post(isExpected ? .queued(index) : .declined(index))
        }
    }

    func withdraw(_ index: Int) {
        let runner = runner
        let stage = runner.pipeline.stages[index]
        append(index) { try? await runner.executor(for: stage).withdraw(stage: stage.name) }
    }

    /// What has to be over before the stage starts; nil if nothing has.
    func pending(of index: Int) -> Task<Void, Never>? { lastOfStage[index] }

    /// Returns when all calls are done.
    func settle() async { await last?.value }

    /// Not in the run's own tasks: what was begun is ended when the run is interrupted, too.
    private func append(_ index: Int, _ work: @escaping @Sendable () async -> Void) {
        let before = last
        let task = Task {
            await before?.value
            await work()
        }
        last = task
        lastOfStage[index] = task
    }
}
