import Basics
import ContentStorage
import Foundation
import Remotes
import Synchronization
import TestSupport
import Testing

/// Large files that arrive in one place and are kept nowhere else.
@Suite struct ReceivingTests {
    private static let content = noise(40 << 20, seed: 21)

    /// A remote with a large file, and a machine that wants it.
    private struct Scene {
        let here: TemporaryFolder
        let there: TemporaryFolder
        let store: ContentStore
        let remote: any Remote
        let root: ContentRoot
        let owner: any AnyObject & Sendable

        var place: String { there("partial") }

        init() async throws {
            here = try TemporaryFolder()
            there = try TemporaryFolder()
            store = try ContentStore(folder: there(".mlops"))
            (remote, owner) = try RemoteMaker.directory.make()
            try Data(ReceivingTests.content).write(to: URL(fileURLWithPath: here("big.bin")))
            let source = try ContentStore(folder: here(".mlops"))
            root = try await source.add(path: here("big.bin")).root
            _ = try await Transfer(store: source, remote: remote, jobs: 4).push([root])
        }

        func leave(_ bytes: some Collection<UInt8>) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: place))
        }

        /// The count of bytes that came.
        func receive(from remote: any Remote) async throws -> Int64 {
            let arrival = try await Transfer(store: store, remote: remote, jobs: 3).pull([
                Delivery(root, to: there("big.bin"))
            ])
            let source = try #require(arrival.source)
            try await store.receive(root, at: place, from: source, progress: nil)
            #expect(try FileSystem.read(place) == ReceivingTests.content)
            return source.report.byteCount
        }
    }

    @Test func theFileArrivesAndTheStoreKeepsNoneOfIt() async throws {
        let scene = try await Scene()
        #expect(try await scene.receive(from: scene.remote) >= 40 << 20)
        #expect(try !scene.store.contains(scene.root))
        // What is whole is not fetched again.
        #expect(try await scene.receive(from: scene.remote) == 0)
    }

    @Test func anInterruptedOneGoesOnWhereItStopped() async throws {
        let scene = try await Scene()
        try scene.leave(ReceivingTests.content.prefix((30 << 20) + 4711))
        #expect(try await scene.receive(from: scene.remote) < 16 << 20)
    }

    @Test func whatIsWrongInTheBeginningIsReplaced() async throws {
        let scene = try await Scene()
        try scene.leave(ReceivingTests.content.prefix(16 << 20) + noise(48 << 20, seed: 22))
        #expect(try await scene.receive(from: scene.remote) < 32 << 20)
    }

    @Test func damageOnTheWayIsMendedByAskingOnceMore() async throws {
        let scene = try await Scene()
        let isSpoiled = Mutex(false)
        let spoiling = FaultyRemote(scene.remote) { key, bytes in
            guard key.hasPrefix("packs/"), bytes.count > 1 << 20,
                isSpoiled.withLock({ done in
                    defer { done = true }; return !done
                })
            else { return bytes }
            var bytes = bytes
            bytes[bytes.count / 2] ^= 1
            return bytes
        }
        _ = try await scene.receive(from: spoiling)
    }

    @Test func damageThatStaysNamesThePack() async throws {
        let scene = try await Scene()
        let spoiling = FaultyRemote(scene.remote) { key, bytes in
            guard key.hasPrefix("packs/"), bytes.count > 1 << 20 else { return bytes }
            var bytes = bytes
            bytes[bytes.count / 2] ^= 1
            return bytes
        }
        let error = await #expect(throws: MLOpsError.self) { try await scene.receive(from: spoiling) }
        #expect(error?.kind == .damaged)
        #expect(error?.message.contains("packs/") == true)
        // The rest comes with the next try.
        _ = try await scene.receive(from: scene.remote)
    }
}
