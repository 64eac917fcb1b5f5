internal import Basics

/// The states of all jobs of a run, asked of Slurm once for all of them.
actor SlurmQueue {
    private let client: SlurmClient
    private let interval: Duration
    private var known: [String: SlurmJob] = [:]
    private var asked: ContinuousClock.Instant?
    private var lastAnswer = ContinuousClock.now
    private var question: Task<[String: SlurmJob]?, any Error>?

    /// - Parameter interval: the controller is asked no more often than that.
    init(client: SlurmClient, interval: Duration = .seconds(1)) {
        self.client = client
        self.interval = interval
    }

    enum Answer: Sendable {
        case job(SlurmJob)
        /// Slurm has forgotten it.
        case unknown
        /// The controller did not answer for that long.
        case silence(Duration)
    }

    /// What Slurm last said of the job.
    ///
    /// - Parameter isUrgent: something has happened, so the answer must not be older than this call.
    func state(of id: String, isUrgent: Bool = false) async throws -> Answer {
        if isUrgent || asked.map({ .now - $0 >= interval }) ?? true { try await ask() }
        let silence = ContinuousClock.now - lastAnswer
        if silence > interval + .seconds(1) { return .silence(silence) }
        return known[id].map { .job($0) } ?? .unknown
    }

    private func ask() async throws {
        let task: Task<[String: SlurmJob]?, any Error>
        if let question {
            task = question
        } else {
            let client = client
            // Not a child: one stage's cancellation must not take the others' answer away.
            task = Task.detached { try await client.jobs() }
            question = task
        }
        defer { question = nil }
        let answer = try await task.value
        asked = .now
        guard let answer else { return }
        lastAnswer = .now
        known = answer
    }
}
