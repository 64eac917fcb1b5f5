internal import Synchronization

/// Where the stages of one run are in the queue.
final class SlurmPlaces: Sendable {
    private struct State {
        var jobs: [String: String] = [:]
        var expected: [String: SlurmRecord] = [:]
        /// Whose jobs are being submitted, to wait for their orders.
        var arriving: Set<String> = []
    }

    private let state = Mutex(State())

    /// The stage's job is that of the record, which has its id.
    func note(_ record: SlurmRecord, isExpected: Bool = false) {
        state.withLock { state in
            state.jobs[record.stage] = record.job
            state.expected[record.stage] = isExpected ? record : nil
            state.arriving.remove(record.stage)
        }
    }

    /// From before the record of a job that will wait for its order is written until `note`, or until `isArriving` is false.
    func announce(_ stage: String, isArriving: Bool = true) {
        state.withLock { state in
            if isArriving { state.arriving.insert(stage) } else { state.arriving.remove(stage) }
        }
    }

    /// The id of the stage's last job.
    func job(of stage: String) -> String? { state.withLock { $0.jobs[stage] } }

    /// Whether the stage has a job that waits for its order, or is getting one.
    func isExpected(_ stage: String) -> Bool {
        state.withLock { $0.expected[stage] != nil || $0.arriving.contains(stage) }
    }

    /// The stage's job that waits for its order; whoever takes it gives the order, or withdraws the job.
    func take(_ stage: String) -> SlurmRecord? { state.withLock { $0.expected.removeValue(forKey: stage) } }
}
