import ArtifactRegistry
import Basics
import Synchronization
import Testing

@Suite struct RegistryTests {
    @Test func publishingCountsVersionsFromOne() async throws {
        let scratch = try ScratchRegistry()
        let first = try await scratch.registry.publish(scratch.artifact, record("a"))
        let second = try await scratch.registry.publish(scratch.artifact, record("b"))
        #expect([first.version.version, second.version.version] == [1, 2])
        #expect(first.isNew && second.isNew)
        let history = try await scratch.fresh.history(of: scratch.artifact)
        #expect(history.versions.map(\.content.digest) == [.of("a"), .of("b")])
        #expect(history.latest?.metrics == ["test": ["accuracy": 0.9]])
    }

    @Test func theSameContentAgainIsTheSameVersionUnlessForced() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b")
        let same = try await scratch.registry.publish(scratch.artifact, record("b"))
        #expect(!same.isNew && same.version.version == 2)
        let older = try await scratch.registry.publish(scratch.artifact, record("a"))
        #expect(older.isNew && older.version.version == 3)
        let forced = try await scratch.registry.publish(scratch.artifact, record("a"), again: true)
        #expect(forced.isNew && forced.version.version == 4)
    }

    @Test func aliasesMoveAndRollBack() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b", "c")
        for version in 1...3 {
            let outcome = try await scratch.registry.promote(scratch.reference(.version(version)), to: "production")
            #expect(outcome.isMoved && outcome.from == (version == 1 ? nil : version - 1))
        }
        let again = try await scratch.registry.promote(scratch.reference(.version(3)), to: "production")
        #expect(!again.isMoved && !again.isRefused)
        #expect(try await scratch.registry.resolve(scratch.reference(.alias("production"))).version == 3)
        let back = try await scratch.registry.rollback(scratch.artifact, alias: "production")
        #expect(back.from == 3 && back.version.version == 2)
        let further = try await scratch.registry.rollback(scratch.artifact, alias: "production", reason: "drift")
        #expect(further.version.version == 1)
        await #expect(throws: MLOpsError.self) {
            try await scratch.registry.rollback(scratch.artifact, alias: "production")
        }
        #expect(try await scratch.fresh.history(of: scratch.artifact).aliases == ["production": 1])
    }

    @Test func rollsBackToANamedVersionPassingOverWithdrawnOnes() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b", "c", "d")
        for version in 1...3 {
            _ = try await scratch.registry.promote(scratch.reference(.version(version)), to: "production")
        }
        try await scratch.registry.withdraw(scratch.artifact, version: 2, reason: "leaked labels")
        #expect(try await scratch.registry.rollback(scratch.artifact, alias: "production").version.version == 1)
        for number in [2, 4, 9] {
            let error = await #expect(throws: MLOpsError.self) {
                try await scratch.registry.rollback(scratch.artifact, alias: "production", to: number)
            }
            #expect(error?.kind == .notFound)
        }
    }

    @Test func aRefusalIsRecordedAndMovesNothing() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a")
        let outcome = try await scratch.registry.promote(scratch.reference(.latest), to: "production") { _, _ in
            GateDecision(passed: false, report: ["failures": ["too low"]])
        }
        #expect(outcome.isRefused && !outcome.isMoved)
        let history = try await scratch.fresh.history(of: scratch.artifact)
        #expect(history.aliases.isEmpty)
        guard case .refused(let refusal)? = history.events.last?.event.body else {
            Issue.record("no refusal")
            return
        }
        #expect(refusal.alias == "production" && refusal.version == 1)
        #expect(refusal.gate == ["failures": ["too low"]])
        try await scratch.registry.refuse(scratch.reference(.version(1)), gate: ["passed": false])
        #expect(try await scratch.fresh.history(of: scratch.artifact).events.count == 3)
    }

    @Test func theGateIsAskedAgainAfterALostRace() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b")
        let interrupted = InterruptedLog(scratch.log) {
            _ = try await scratch.fresh.promote(scratch.reference(.version(2)), to: "production")
        }
        let baselines = Mutex<[Int?]>([])
        let outcome = try await ScratchRegistry.registry(interrupted).promote(
            scratch.reference(.version(1)), to: "production"
        ) { version, history in
            let baseline = history.aliases["production"]
            baselines.withLock { $0.append(baseline) }
            return GateDecision(passed: baseline.map { version.version > $0 } ?? true, report: ["passed": true])
        }
        #expect(baselines.withLock { $0 } == [nil, 2])
        #expect(outcome.isRefused)
        #expect(try await scratch.fresh.history(of: scratch.artifact).aliases == ["production": 2])
    }

    @Test func whatIsInUseCannotBeWithdrawn() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b")
        _ = try await scratch.registry.promote(scratch.reference(.version(1)), to: "production")
        let byAlias = await #expect(throws: MLOpsError.self) {
            try await scratch.registry.withdraw(scratch.artifact, version: 1, reason: "bad")
        }
        #expect(byAlias?.kind == .refused)
        #expect(byAlias?.message.contains("`@production` names it") == true)
        let parent = ArtifactParent(artifact: scratch.artifact, version: 2, digest: .of("b"))
        _ = try await scratch.registry.publish(ArtifactName("reports/r"), record("r", parents: [parent]))
        let byChild = await #expect(throws: MLOpsError.self) {
            try await scratch.registry.withdraw(scratch.artifact, version: 2, reason: "bad")
        }
        #expect(byChild?.message.contains("`reports/r@v1` was made from it") == true)
        try await scratch.registry.withdraw(ArtifactName("reports/r"), version: 1, reason: "bad")
        try await scratch.registry.withdraw(scratch.artifact, version: 2, reason: "bad")
        try await scratch.registry.withdraw(scratch.artifact, version: 2, reason: "bad")
        #expect(try await scratch.fresh.history(of: scratch.artifact).withdrawn == [2: "bad"])
    }

    @Test func latestPassesOverWithdrawnVersions() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b")
        try await scratch.registry.withdraw(scratch.artifact, version: 2, reason: "leaked labels")
        #expect(try await scratch.registry.resolve(scratch.reference(.latest)).version == 1)
        let error = await #expect(throws: MLOpsError.self) {
            try await scratch.registry.resolve(scratch.reference(.version(2)))
        }
        #expect(error?.message == "version `models/census@v2` was withdrawn: leaked labels")
        #expect(error?.hint == "use `models/census@v1`, the newest that was not")
        #expect(try await scratch.registry.publish(scratch.artifact, record("b")).version.version == 3)
    }

    @Test func namesWhatDoesNotExist() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a")
        _ = try await scratch.registry.promote(scratch.reference(.latest), to: "production")
        func failure(_ text: String) async -> MLOpsError? {
            await #expect(throws: MLOpsError.self) { try await scratch.registry.resolve(try ArtifactReference(text)) }
        }
        let artifact = await failure("models/cencus")
        #expect(artifact?.message == "artifact `models/cencus` does not exist")
        #expect(artifact?.hint == "did you mean `models/census`?")
        let version = await failure("models/census@v9")
        #expect(version?.message == "version `models/census@v9` does not exist")
        #expect(version?.hint == "run `mlops registry show models/census` to see its 1 version and their aliases")
        #expect(await failure("models/census@prodution")?.hint == "did you mean `models/census@production`?")
        #expect(await failure("models/census@v9")?.kind == .notFound)
    }

    @Test func listsArtifactsAlsoBelowOthers() async throws {
        let scratch = try ScratchRegistry()
        for name in ["models/team", "models/team/census", "datasets/census"] {
            _ = try await scratch.registry.publish(ArtifactName(name), record(name))
        }
        #expect(
            try await scratch.fresh.histories().map(\.artifact.description) == [
                "datasets/census", "models/team", "models/team/census",
            ])
        #expect(try await scratch.fresh.histories(kind: "datasets").count == 1)
        let memory = MemoryStore()
        let shared = ScratchRegistry.registry(memory.log)
        for name in ["models/team", "models/team/census"] {
            _ = try await shared.publish(ArtifactName(name), record(name))
        }
        #expect(try await shared.histories().map(\.artifact.description) == ["models/team", "models/team/census"])
        #expect(try await shared.history(of: ArtifactName("models/team")).events.count == 1)
    }

    @Test(.timeLimit(.minutes(2)))
    func sixteenPublishersLoseNothing() async throws {
        let scratch = try ScratchRegistry()
        let clock = ContinuousClock()
        let start = clock.now
        let numbers = try await mapConcurrently(Array(0..<16), width: 16) { writer in
            let registry = ScratchRegistry.registry(DirectoryEventLog(root: scratch.log.root), "writer \(writer)")
            var numbers: [Int] = []
            for round in 0..<50 {
                let outcome = try await registry.publish(scratch.artifact, record("\(writer) of \(round)"))
                numbers.append(outcome.version.version)
            }
            return numbers
        }
        print("16 publishers, 800 versions: \(start.duration(to: clock.now))")
        #expect(numbers.flatMap(\.self).sorted() == Array(1...800))
        #expect(numbers.allSatisfy { $0 == $0.sorted() })
        let history = try await scratch.fresh.history(of: scratch.artifact)
        #expect(Set(history.versions.map(\.content.digest)).count == 800)
    }
}
