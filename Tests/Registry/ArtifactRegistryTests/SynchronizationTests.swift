import ArtifactRegistry
import Basics
import Synchronization
import TestSupport
import Testing

@Suite struct SynchronizationTests {
    private func sync(
        _ scratch: ScratchRegistry, _ shared: any EventLog, _ direction: SyncDirection = .both
    ) async throws
        -> SyncReport
    {
        try await synchronize(local: scratch.log, shared: shared, artifact: scratch.artifact, direction: direction)
    }

    private func contents(_ log: any EventLog) async throws -> [Digest] {
        let history = try await ScratchRegistry.registry(log).history(of: ArtifactName("models/census"))
        return history.versions.map(\.content.digest)
    }

    private func isEqual(_ scratch: ScratchRegistry, _ shared: any EventLog) async throws -> Bool {
        let here = try await scratch.fresh.history(of: scratch.artifact)
        let there = try await ScratchRegistry.registry(shared).history(of: scratch.artifact)
        return here.events == there.events
    }

    @Test func sendsWhatTheOthersLackAndReceivesWhatWeLack() async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("a", "b")
        let sent = try await sync(ada, store.log)
        #expect(sent.sent == 2 && sent.received == 0 && sent.renumbered.isEmpty && sent.dropped.isEmpty)
        let received = try await sync(bob, store.log)
        #expect(received.sent == 0 && received.received == 2)
        #expect(try await isEqual(ada, store.log))
        #expect(try await isEqual(bob, store.log))
        let again = try await sync(bob, store.log)
        #expect(again == SyncReport(artifact: bob.artifact))
    }

    @Test func nothingOnEitherSideIsFine() async throws {
        let ada = try ScratchRegistry()
        #expect(try await sync(ada, MemoryStore().log) == SyncReport(artifact: ada.artifact))
    }

    @Test func localEventsFollowTheSharedOnesAndVersionsGetNewNumbers() async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("base")
        _ = try await sync(ada, store.log)
        _ = try await sync(bob, store.log)
        try await ada.publish("a2", "a3")
        _ = try await sync(ada, store.log)
        try await bob.publish("b2")
        let base = ArtifactParent(artifact: bob.artifact, version: 2, digest: .of("b2"))
        _ = try await bob.registry.publish(bob.artifact, record("b3", parents: [base]))
        try await bob.publish("b4")
        _ = try await bob.registry.promote(bob.reference(.version(3)), to: "staging")
        _ = try await bob.registry.promote(bob.reference(.version(1)), to: "stable")
        try await bob.registry.withdraw(bob.artifact, version: 4, reason: "bad")
        let report = try await sync(bob, store.log)
        #expect(report.received == 2 && report.sent == 6)
        #expect(report.renumbered == [2: 4, 3: 5, 4: 6])
        #expect(report.dropped.isEmpty)
        #expect(try await isEqual(bob, store.log))
        let history = try await bob.registry.history(of: bob.artifact)
        #expect(history.versions.map(\.content.digest) == ["base", "a2", "a3", "b2", "b3", "b4"].map { Digest.of($0) })
        #expect(history.versions.map(\.version) == [1, 2, 3, 4, 5, 6])
        #expect(history.aliases == ["staging": 5, "stable": 1])
        #expect(history.withdrawn == [6: "bad"])
        #expect(history.version(5)?.parents.map(\.version) == [4])
        #expect(history.events.map(\.event.actor) == Array("aaabbbbbb").map { $0 == "a" ? "ada" : "bob" })
    }

    @Test func aDecisionThatOthersOvertookIsGivenUpAndReported() async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("a", "b", "c")
        _ = try await sync(ada, store.log)
        _ = try await sync(bob, store.log)
        _ = try await ada.registry.promote(ada.reference(.version(2)), to: "production")
        _ = try await sync(ada, store.log)
        _ = try await bob.registry.promote(bob.reference(.version(3)), to: "production")
        try await bob.registry.withdraw(bob.artifact, version: 2, reason: "bad")
        let report = try await sync(bob, store.log)
        #expect(
            report.dropped == [
                "promoting v3 to `production` was given up: others pointed `production` at v2 in the meantime",
                "withdrawing v2 was given up: `production` names v2",
            ])
        #expect(report.sent == 0 && report.received == 1)
        #expect(try await isEqual(bob, store.log))
        #expect(try await bob.registry.history(of: bob.artifact).aliases == ["production": 2])
    }

    @Test(arguments: 0...4)
    func aStoppedSynchronizationEndsWithoutDoubles(_ appends: Int) async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("base", "a")
        _ = try await sync(ada, store.log)
        try await bob.publish("b1", "b2")
        _ = try await bob.registry.promote(bob.reference(.version(1)), to: "staging")
        try await bob.publish("b3")
        let stopping = StoppingLog(store.log, after: appends)
        if appends < 4 {
            await #expect(throws: MLOpsError.self) { try await sync(bob, stopping) }
            #expect(try await contents(bob.log) == ["b1", "b2", "b3"].map { Digest.of($0) })
            // Others go on in between.
            try await ada.publish("later")
            _ = try await sync(ada, store.log)
        }
        let report = try await sync(bob, store.log)
        #expect(report.dropped.isEmpty)
        #expect(try await isEqual(bob, store.log))
        let history = try await bob.fresh.history(of: bob.artifact)
        let digests = history.versions.map(\.content.digest)
        #expect(Set(digests).count == digests.count)
        #expect(digests.count == (appends < 4 ? 6 : 5))
        #expect(history.aliases["staging"].flatMap(history.version)?.content.digest == .of("b1"))
        #expect(report.renumbered[1] == history.aliases["staging"])
    }

    @Test(arguments: 1...12)
    func aKilledRewriteOfTheLocalLogLosesNothing(_ point: Int) async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("a1", "a2")
        _ = try await sync(ada, store.log)
        try await bob.publish("b1", "b2", "b3")
        // The state after `point` steps of the rewrite: events removed from the end, then shared ones added.
        let throwaway = try ScratchRegistry(actor: "bob")
        for number in 1...3 {
            try throwaway.folder.write("events/models/census/\(number).json", try FileSystem.read(bob.path(number)))
        }
        _ = try await sync(throwaway, store.log)
        for number in stride(from: 3, to: max(0, 3 - point), by: -1) { try FileSystem.removeFile(bob.path(number)) }
        for number in 1...5 where number <= point - 3 {
            try bob.folder.write("events/models/census/\(number).json", try FileSystem.read(throwaway.path(number)))
        }
        let report = try await sync(bob, store.log)
        #expect(report.sent == 0 && report.dropped.isEmpty)
        #expect(try await isEqual(bob, store.log))
        #expect(try await contents(bob.log) == ["a1", "a2", "b1", "b2", "b3"].map { Digest.of($0) })
    }

    @Test func receivingRefusesToRewriteLocalEvents() async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("a")
        _ = try await sync(ada, store.log)
        try await bob.publish("b")
        let error = await #expect(throws: MLOpsError.self) { try await sync(bob, store.log, .receive) }
        #expect(error?.kind == .conflict)
        #expect(error?.hint?.contains("mlops registry push models/census") == true)
        #expect(try await contents(bob.log) == [.of("b")])
        // Being ahead is no conflict, and sends nothing.
        try await ada.publish("a2")
        #expect(try await sync(ada, store.log, .receive) == SyncReport(artifact: ada.artifact))
        #expect(try await contents(store.log) == [.of("a")])
    }

    @Test func aDamagedSharedLogLeavesTheLocalOneAlone() async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        try await ada.publish("a", "b", "c")
        _ = try await sync(ada, store.log)
        store.objects.withLock { $0["events/models/census/2.json"]?[50] ^= 1 }
        let error = await #expect(throws: MLOpsError.self) { try await sync(bob, store.log) }
        #expect(error?.kind == .damaged)
        #expect(error?.message.contains("memory:/events/models/census/2.json") == true)
        #expect(try await contents(bob.log).isEmpty)
    }

    @Test func aLostAnswerIsRecognizedAsSuccess() async throws {
        let store = MemoryStore()
        let forgetful = ClosureEventLog(
            place: "memory:", get: { key in store.objects.withLock { $0[key] ?? [] } },
            putIfAbsent: { bytes, key in
                // Stored, but a retry of the request reports that the key is taken.
                store.objects.withLock { if $0[key] == nil { $0[key] = bytes } }
                return false
            },
            list: { prefix in store.objects.withLock { $0.keys.filter { $0.hasPrefix(prefix) } } })
        let registry = ScratchRegistry.registry(forgetful)
        let outcome = try await registry.publish(ArtifactName("models/census"), record("a"))
        #expect(outcome.version.version == 1)
        #expect(try await contents(store.log) == [.of("a")])
    }

    @Test(.timeLimit(.minutes(1)))
    func fourClonesThatPublishAndSynchronizeAtOnceAgreeInTheEnd() async throws {
        let store = MemoryStore()
        let clones = try (0..<4).map { try ScratchRegistry(actor: "clone \($0)") }
        _ = try await mapConcurrently(Array(clones.enumerated()), width: 4) { index, clone in
            for round in 0..<8 {
                try await clone.publish("\(index) of \(round)")
                if round % 3 == 2 { _ = try await self.sync(clone, store.log) }
            }
        }
        for clone in clones + clones { _ = try await sync(clone, store.log) }
        for clone in clones { #expect(try await isEqual(clone, store.log)) }
        let digests = try await contents(store.log)
        #expect(digests.count == 32)
        #expect(Set(digests).count == 32)
    }

    @Test(.timeLimit(.minutes(1)))
    func publishingWhileSynchronizingLosesNothing() async throws {
        let (ada, bob, store) = (try ScratchRegistry(), try ScratchRegistry(actor: "bob"), MemoryStore())
        async let publishing: Void = {
            for number in 0..<30 { try await bob.publish("b\(number)") }
        }()
        async let synchronizing: Void = {
            for number in 0..<15 {
                try await ada.publish("a\(number)")
                _ = try await self.sync(ada, store.log)
                _ = try await self.sync(bob, store.log)
            }
        }()
        _ = try await (publishing, synchronizing)
        _ = try await sync(bob, store.log)
        #expect(try await isEqual(bob, store.log))
        let digests = try await contents(store.log)
        #expect(digests.count == 45)
        #expect(Set(digests).count == 45)
    }
}
