import Basics
import ContentStorage
import Foundation
import Remotes
import Synchronization
import TestSupport
import Testing

/// Large files that go into the workspace and into the store while they arrive.
@Suite struct DeliveryTests {
    private struct Machine {
        let folder: TemporaryFolder
        let store: ContentStore

        init() throws {
            folder = try TemporaryFolder()
            store = try ContentStore(folder: folder(".mlops"))
        }

        func write(_ name: String, _ bytes: [UInt8]) throws {
            try FileSystem.createDirectories(FileSystem.parent(of: folder(name)))
            try Data(bytes).write(to: URL(fileURLWithPath: folder(name)))
        }

        func add(_ name: String) async throws -> ContentRoot { try await store.add(path: folder(name)).root }

        /// Pulls and checks out; what was fetched.
        func receive(
            _ root: ContentRoot, _ name: String, from remote: any Remote, isInPlace: Bool = false
        ) async throws -> TransferReport {
            let arrival = try await Transfer(store: store, remote: remote, jobs: 3).pull(
                [
                    Delivery(root, to: folder(name))
                ], isInPlace: isInPlace)
            var options = CheckoutOptions(jobs: 2, source: arrival.source)
            options.isInPlace = isInPlace
            try await store.checkout(root, to: folder(name), options: options)
            return arrival.total
        }

        /// The bytes below `.mlops/store`.
        func storeByteCount() throws -> Int64 {
            func count(_ path: String) throws -> Int64 {
                try FileSystem.list(path).reduce(0) { total, name in
                    let path = FileSystem.join(path, name)
                    return try total + (FileSystem.isDirectory(path) ? count(path) : FileStatus.of(path)?.size ?? 0)
                }
            }
            return try count(folder(".mlops/store"))
        }
    }

    private func push(_ root: ContentRoot, of machine: Machine, to remote: any Remote) async throws {
        _ = try await Transfer(store: machine.store, remote: remote, jobs: 4).push([root])
    }

    /// Adds `bytes` as the file `name` and pushes it.
    private func publish(
        _ bytes: [UInt8], as name: String, of machine: Machine, to remote: any Remote
    ) async throws -> ContentRoot {
        try machine.write(name, bytes)
        let root = try await machine.add(name)
        try await push(root, of: machine, to: remote)
        return root
    }

    @Test(arguments: RemoteMaker.all)
    func aLargeFileArrivesInTheWorkspaceAndInTheStore(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        let content = noise(40 << 20, seed: 3)
        try here.write("data/big.bin", content)
        try here.write("data/small.txt", Array("small".utf8))
        let root = try await here.add("data")
        try await push(root, of: here, to: remote)
        let report = try await there.receive(root, "data", from: remote)
        #expect(report.byteCount >= 40 << 20)
        #expect(try FileSystem.read(there.folder("data/big.bin")) == content)
        #expect(try there.store.contains(root))
        #expect(try await there.store.verify(roots: [("x", root)]).isClean)
        // The store alone brings it back.
        try FileSystem.removeTree(there.folder("data"))
        try await there.store.checkout(root, to: there.folder("data"))
        #expect(try await there.store.compare(root, with: there.folder("data")).isEmpty)
    }

    @Test func textArrivesDecompressedAndIsKeptCompressed() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let text = Array((0..<4_000_000).map { "\($0 % 7919),\($0)\n" }.joined().utf8)
        let root = try await publish(text, as: "table.csv", of: here, to: remote)
        let report = try await there.receive(root, "table.csv", from: remote)
        #expect(try FileSystem.read(there.folder("table.csv")) == text)
        #expect(report.byteCount < Int64(text.count) / 2)
        #expect(try await there.store.verify(roots: [("x", root)]).isClean)
    }

    @Test func onlyWhatIsNewOfANewVersionIsFetched() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        var content = noise(80 << 20, seed: 9)
        let first = try await publish(content, as: "big.bin", of: here, to: remote)
        _ = try await there.receive(first, "big.bin", from: remote)
        // Two stretches change, with kept bytes before, between and behind them.
        for (start, seed) in [(8 << 20, UInt64(11)), (50 << 20, 12)] {
            content.replaceSubrange(start..<start + (20 << 20), with: noise(20 << 20, seed: seed))
        }
        let second = try await publish(content, as: "big.bin", of: here, to: remote)
        let report = try await there.receive(second, "big.bin", from: remote)
        #expect(report.byteCount < 42 << 20)
        #expect(try FileSystem.read(there.folder("big.bin")) == content)
        #expect(try await there.store.verify(roots: [("1", first), ("2", second)]).isClean)
    }

    @Test(arguments: RemoteMaker.all)
    func whatArrivesInPlaceIsKeptOnceAndCanBeSent(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there, further) = (try Machine(), try Machine(), try Machine())
        let content = noise(40 << 20, seed: 3)
        try here.write("data/big.bin", content)
        try here.write("data/small.txt", Array("small".utf8))
        let root = try await here.add("data")
        try await push(root, of: here, to: remote)
        _ = try await there.receive(root, "data", from: remote, isInPlace: true)
        #expect(try FileSystem.read(there.folder("data/big.bin")) == content)
        #expect(
            try FileStatus.of(there.folder("data/big.bin"))?.permissions
                == FileStatus.of(there.folder("data/small.txt"))?.permissions)
        #expect(try there.storeByteCount() < 1 << 20)
        #expect(try there.store.contains(root))
        #expect(try await there.store.verify(roots: [("x", root)]).isClean)
        // Nothing is fetched again, and all of it can be sent on.
        #expect(try await there.receive(root, "data", from: remote, isInPlace: true).isNothingNew)
        let (other, otherOwner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(otherOwner) {} }
        try await push(root, of: there, to: other)
        _ = try await further.receive(root, "data", from: other)
        #expect(try FileSystem.read(further.folder("data/big.bin")) == content)
    }

    @Test func aNewVersionReplacesWhatArrivedInPlace() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        var content = noise(80 << 20, seed: 9)
        let first = try await publish(content, as: "big.bin", of: here, to: remote)
        _ = try await there.receive(first, "big.bin", from: remote, isInPlace: true)
        for (length, seed) in [(40 << 20, UInt64(11)), (1 << 20, 12)] {
            content.replaceSubrange(8 << 20..<(8 << 20) + length, with: noise(length, seed: seed))
            let next = try await publish(content, as: "big.bin", of: here, to: remote)
            // What both have is taken from the file that goes away.
            let report = try await there.receive(next, "big.bin", from: remote, isInPlace: true)
            #expect(report.byteCount < length + (2 << 20))
            #expect(try FileSystem.read(there.folder("big.bin")) == content)
            #expect(try there.storeByteCount() < 1 << 20)
            #expect(try await there.store.verify(roots: [("x", next)]).isClean)
        }
        // A change that is nowhere else stays.
        try there.write("big.bin", Array("mine".utf8))
        await #expect(throws: MLOpsError.self) {
            try await there.receive(first, "big.bin", from: remote, isInPlace: true)
        }
        #expect(try FileSystem.read(there.folder("big.bin")) == Array("mine".utf8))
    }

    @Test func anInterruptedArrivalInPlaceGoesOn() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let content = noise(80 << 20, seed: 5)
        let root = try await publish(content, as: "big.bin", of: here, to: remote)
        let count = Mutex(0)
        let breaking = FaultyRemote(remote) { key, bytes in
            guard key.hasPrefix("packs/"), bytes.count > 1 << 20 else { return bytes }
            // Shorter than was asked for.
            return count.withLock { count in
                count += 1
                return count > 3 ? [] : bytes
            }
        }
        await #expect(throws: MLOpsError.self) {
            try await there.receive(root, "big.bin", from: breaking, isInPlace: true)
        }
        #expect(!FileSystem.exists(there.folder("big.bin")))
        let report = try await there.receive(root, "big.bin", from: remote, isInPlace: true)
        #expect(report.byteCount < 70 << 20)
        #expect(try FileSystem.read(there.folder("big.bin")) == content)
        #expect(try await there.store.verify(roots: [("x", root)]).isClean)
        #expect(try FileSystem.list(there.folder(".mlops/store/incoming")).isEmpty)
    }

    @Test func aFileThatRepeatsItselfArrivesToo() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let content = noise(24 << 20, seed: 4)
        let root = try await publish(content + content, as: "twice.bin", of: here, to: remote)
        _ = try await there.receive(root, "twice.bin", from: remote)
        #expect(try FileSystem.read(there.folder("twice.bin")) == content + content)
    }

    @Test func damageOnTheWayNamesThePackAndLeavesNoFile() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let root = try await publish(noise(40 << 20, seed: 5), as: "big.bin", of: here, to: remote)
        let spoiled = FaultyRemote(remote) { key, bytes in
            guard key.hasPrefix("packs/"), bytes.count > 1 << 20 else { return bytes }
            var bytes = bytes
            bytes[bytes.count / 2] ^= 1
            return bytes
        }
        let error = await #expect(throws: MLOpsError.self) { try await there.receive(root, "big.bin", from: spoiled) }
        #expect(error?.kind == .damaged)
        #expect(error?.message.contains("packs/") == true)
        #expect(!FileSystem.exists(there.folder("big.bin")))
        // What came whole is kept, and the rest comes with the next try.
        _ = try await there.receive(root, "big.bin", from: remote)
        #expect(try await there.store.compare(root, with: there.folder("big.bin")).isEmpty)
    }

    @Test func changesThatAreStoredNowhereAreNotOverwritten() async throws {
        let (here, there) = (try Machine(), try Machine())
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let root = try await publish(noise(40 << 20, seed: 6), as: "big.bin", of: here, to: remote)
        try there.write("big.bin", Array("mine".utf8))
        await #expect(throws: MLOpsError.self) { try await there.receive(root, "big.bin", from: remote) }
        #expect(try FileSystem.read(there.folder("big.bin")) == Array("mine".utf8))
    }
}
