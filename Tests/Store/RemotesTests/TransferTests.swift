import Basics
import ContentStorage
import Foundation
import Remotes
import Synchronization
import TestSupport
import Testing

@Suite struct TransferTests {
    /// A machine with its own store.
    private struct Machine {
        let folder: TemporaryFolder
        let store: ContentStore

        init() throws {
            folder = try TemporaryFolder()
            store = try ContentStore(folder: folder(".mlops"))
        }

        func add(_ name: String) async throws -> ContentRoot { try await store.add(path: folder(name)).root }

        func push(_ roots: [ContentRoot], to remote: any Remote) async throws -> TransferReport {
            try await Transfer(store: store, remote: remote, jobs: 4).push(roots)
        }

        func pull(_ roots: [ContentRoot], from remote: any Remote) async throws -> TransferReport {
            try await Transfer(store: store, remote: remote, jobs: 4).pull(roots)
        }

        func check(_ root: ContentRoot, equals other: Machine, _ name: String) async throws {
            _ = try await store.checkout(root, to: folder(name))
            #expect(try await store.compare(root, with: folder(name)).isEmpty)
            #expect(try await other.store.compare(root, with: folder(name)).isEmpty)
            #expect(try await store.verify(roots: [("x", root)]).isClean)
        }
    }

    /// A folder of 60 small files in folders, an empty one, and two large ones.
    private func writeData(_ machine: Machine, megabytes: Int = 2) throws {
        for number in 0..<60 {
            try write(
                machine, "data/part-\(number % 7)/\(number).bin", noise(200 + number * 31, seed: UInt64(number)))
        }
        try write(machine, "data/empty", [])
        try write(machine, "data/big.bin", noise(megabytes << 20, seed: 1000))
        let text = String(repeating: "text of a log\n", count: 100_000)
        try write(machine, "data/deep/er/large.txt", Array(text.utf8))
    }

    /// Writes without flushing, unlike `TemporaryFolder`: there are many files here.
    private func write(_ machine: Machine, _ name: String, _ bytes: [UInt8]) throws {
        let path = machine.folder(name)
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test(arguments: RemoteMaker.all)
    func bringsTheSameBytesToAnotherMachine(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here)
        try here.folder.write("single", noise(700_000, seed: 5))
        let roots = [try await here.add("data"), try await here.add("single")]
        let sent = try await here.push(roots, to: remote)
        #expect(sent.packCount > 0)
        #expect(sent.byteCount > 2 << 20)
        let received = try await there.pull(roots, from: remote)
        #expect(received.objectCount > 0)
        try await there.check(roots[0], equals: here, "data")
        try await there.check(roots[1], equals: here, "single")
        #expect(try await remote.list("index").count == 1)
    }

    @Test(arguments: RemoteMaker.all)
    func sendsNothingTheSecondTime(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here)
        let root = try await here.add("data")
        _ = try await here.push([root], to: remote)
        let before = try await remote.list("")
        let counting = FaultyRemote(remote)
        let again = try await here.push([root], to: counting)
        #expect(again.isNothingNew)
        #expect(again.packCount == 0)
        #expect(again.byteCount == 0)
        #expect(try await remote.list("") == before)
        #expect(!counting.log.contains { $0.hasPrefix("put") })
        #expect(counting.log.count { $0.hasPrefix("get") } == 1, "only format.json: the index is kept here")
        _ = try await there.pull([root], from: remote)
        let silent = FaultyRemote(remote)
        #expect(try await there.pull([root], from: silent).isNothingNew)
        #expect(silent.log.isEmpty)
    }

    @Test func sendsOnlyWhatChanged() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here, megabytes: 12)
        let old = try await here.add("data")
        _ = try await here.push([old], to: remote)
        _ = try await there.pull([old], from: remote)
        var bytes = noise(12 << 20, seed: 1000)
        bytes.insert(contentsOf: noise(1000, seed: 9), at: 6 << 20)
        try here.folder.write("data/big.bin", bytes)
        try here.folder.write("data/new", "new")
        let new = try await here.add("data")
        let sent = try await here.push([old, new], to: remote)
        #expect(sent.byteCount < 600_000)
        #expect(sent.packCount == 1)
        let received = try await there.pull([new], from: remote)
        #expect(received.byteCount < 600_000)
        try await there.check(new, equals: here, "data")
    }

    @Test func fetchesLittleWhenLittleIsNeeded() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here, megabytes: 20)
        let root = try await here.add("data")
        _ = try await here.push([root], to: remote)
        let file = try await here.store.identify(path: here.folder("data/part-3/10.bin"))
        let log = try await here.store.identify(path: here.folder("data/deep/er/large.txt"))
        let counting = FaultyRemote(remote)
        let received = try await there.pull([file, log], from: counting)
        #expect(received.wholePackCount == 0)
        #expect(counting.readByteCount.load(ordering: .relaxed) < 1 << 20)
        try await there.check(file, equals: here, "10.bin")
        try await there.check(log, equals: here, "large.txt")
    }

    @Test func finishesWhatAnInterruptedPushBegan() async throws {
        for writes in 0... {
            let (remote, owner) = try RemoteMaker.directory.make()
            defer { withExtendedLifetime(owner) {} }
            let (here, there) = (try Machine(), try Machine())
            try writeData(here, megabytes: 9)
            let first = try await here.add("data/big.bin")
            let second = try await here.add("data")
            var isWhole = false
            do {
                _ = try await here.push([first, second], to: FaultyRemote(remote, writes: writes))
                isWhole = true
            } catch is FaultyRemote.Broken {
                let error = await #expect(throws: MLOpsError.self) { try await there.pull([second], from: remote) }
                #expect(error?.kind == .notFound)
            }
            let packsBefore = try await remote.list("packs").count
            let again = try await here.push([first, second], to: remote)
            #expect(again.resumedPackCount == (isWhole ? 0 : packsBefore), "after \(writes) writes")
            _ = try await there.pull([second], from: remote)
            try await there.check(second, equals: here, "data")
            if isWhole { return }
        }
    }

    @Test func saysWhichPackOfTheRemoteIsDamaged() async throws {
        for wantsAll in [true, false] {
            let (remote, owner) = try RemoteMaker.directory.make()
            defer { withExtendedLifetime(owner) {} }
            let (here, there) = (try Machine(), try Machine())
            try writeData(here)
            let root = try await here.add("data")
            _ = try await here.push([root], to: remote)
            let wanted = wantsAll ? root : try await here.store.identify(path: here.folder("data/part-3/10.bin"))
            for item in try await remote.list("packs") {
                var bytes = try await remote.get(item.key)
                for index in stride(from: 20, to: bytes.count, by: 40) { bytes[index] ^= 1 }
                try await remote.put(bytes, at: item.key)
            }
            let error = await #expect(throws: MLOpsError.self) { try await there.pull([wanted], from: remote) }
            #expect(error?.exitCode == 12)
            #expect(error?.message.contains("`packs/") == true)
            #expect(error?.hint?.contains("mlops push") == true)
            #expect(try !there.store.contains(wanted))
        }
    }

    @Test func triesOnceMoreWhenBytesAreHurtOnTheirWay() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here)
        let root = try await here.add("data")
        _ = try await here.push([root], to: remote)
        let spoiled = Mutex<Set<String>>([])
        let spoiling = FaultyRemote(remote) { key, bytes in
            guard key.hasPrefix("packs/"), spoiled.withLock({ $0.insert(key).inserted }) else { return bytes }
            return Array(bytes.dropLast()) + [(bytes.last ?? 0) ^ 0x80]
        }
        _ = try await there.pull([root], from: spoiling)
        #expect(spoiled.withLock { !$0.isEmpty })
        try await there.check(root, equals: here, "data")
    }

    @Test func sendsAgainWhatTheRemoteLostOrCutOff() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here)
        let root = try await here.add("data")
        _ = try await here.push([root], to: remote)
        let pack = try #require(try await remote.list("packs").first)
        try await remote.remove(pack.key)
        let lost = await #expect(throws: MLOpsError.self) { try await there.pull([root], from: remote) }
        #expect(lost?.exitCode == 12)
        #expect(lost?.message.contains(pack.key) == true)
        try await remote.put([1, 2, 3], at: pack.key)
        #expect(try await here.push([root], to: remote).packCount > 0)
        #expect(try await remote.size(of: pack.key) == pack.byteCount)
        _ = try await there.pull([root], from: remote)
        try await there.check(root, equals: here, "data")
    }

    @Test func verifiesTheIndexAndItsCopies() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here)
        let root = try await here.add("data")
        _ = try await here.push([root], to: remote)
        let item = try #require(try await remote.list("index").first)
        let caches = FileSystem.join(here.store.folder, "cache/remotes")
        let cache = FileSystem.join(
            FileSystem.join(caches, try FileSystem.list(caches)[0]), FileSystem.name(of: item.key))
        try FileSystem.replace(cache, with: [1])
        #expect(try await here.push([root], to: remote).isNothingNew)
        var bytes = try await remote.get(item.key)
        #expect(try FileSystem.read(cache) == bytes)
        bytes[bytes.count / 2] ^= 1
        try await remote.put(bytes, at: item.key)
        let error = await #expect(throws: MLOpsError.self) { try await there.pull([root], from: remote) }
        #expect(error?.exitCode == 12)
        #expect(error?.message.contains(item.key) == true)
    }

    @Test func mergesTheIndexWhenItHasManyFiles() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        var roots: [ContentRoot] = []
        for number in 0..<12 {
            roots.append(try await here.store.add(bytes: noise(100, seed: UInt64(number))))
            var transfer = Transfer(store: here.store, remote: remote)
            transfer.mergesIndexAt = 5
            _ = try await transfer.push([roots[number]])
            #expect(try await remote.list("index").count <= 5)
        }
        #expect(try await remote.list("packs").count == 12)
        _ = try await there.pull(roots, from: remote)
        for root in roots { #expect(try there.store.contains(root)) }
    }

    @Test func saysThatTheRemoteLacksWhatIsWanted() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        let pushed = try await here.store.add(bytes: noise(100))
        let kept = try await here.store.add(bytes: noise(100, seed: 2))
        let empty = await #expect(throws: MLOpsError.self) { try await there.pull([kept], from: remote) }
        #expect(empty?.message.contains("nothing was pushed there yet") == true)
        _ = try await here.push([pushed], to: remote)
        let lacking = await #expect(throws: MLOpsError.self) { try await there.pull([kept], from: remote) }
        #expect(lacking?.kind == .notFound)
        #expect(lacking?.message.contains("lacks 1 object that is needed") == true)
        #expect(lacking?.hint?.contains("mlops push") == true)
    }

    @Test func servesSeveralMachinesAtOnce() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let roots = try await mapConcurrently(Array(0..<4), width: 4) { number in
            let machine = try Machine()
            try writeData(machine, megabytes: 1)
            try machine.folder.write("data/own", noise(5000, seed: UInt64(number) + 50))
            let root = try await machine.add("data")
            _ = try await machine.push([root], to: remote)
            return root
        }
        let there = try Machine()
        _ = try await there.pull(roots, from: remote)
        for root in roots { #expect(try there.store.contains(root)) }
    }

    @Test func reportsItsProgress() async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        let (here, there) = (try Machine(), try Machine())
        try writeData(here)
        let root = try await here.add("data")
        let last = Mutex(TransferProgress())
        let handler: ProgressHandler = { progress in last.withLock { $0 = progress } }
        let sent = try await Transfer(store: here.store, remote: remote, progress: handler).push([root])
        #expect(last.withLock { $0.doneBytes } == sent.byteCount)
        #expect(last.withLock { $0.doneFiles == $0.totalFiles })
        _ = try await Transfer(store: there.store, remote: remote, progress: handler).pull([root])
        #expect(last.withLock { $0.doneBytes == $0.totalBytes && $0.totalBytes > 0 })
    }
}
