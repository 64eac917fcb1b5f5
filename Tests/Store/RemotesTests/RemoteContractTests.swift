import Basics
import Remotes
import Synchronization
import TestSupport
import Testing

/// What every remote promises, held against every kind of remote.
@Suite(.serialized) struct RemoteContractTests {
    @Test(arguments: RemoteMaker.all)
    func returnsWhatWasPut(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let bytes = noise(100_000)
        try await remote.put(bytes, at: "objects/ab/cd")
        #expect(try await remote.get("objects/ab/cd") == bytes)
        #expect(try await remote.get("objects/ab/cd", range: 10..<1010) == Array(bytes[10..<1010]))
        #expect(try await remote.get("objects/ab/cd", range: 99_999..<100_000) == [bytes[99_999]])
        #expect(try await remote.get("objects/ab/cd", range: 5..<5) == [])
        #expect(try await remote.size(of: "objects/ab/cd") == 100_000)
        try await remote.put([], at: "objects/ab/cd")
        #expect(try await remote.get("objects/ab/cd") == [])
        #expect(try await remote.size(of: "objects/ab/cd") == 0)
    }

    @Test(arguments: RemoteMaker.all)
    func saysThatAnObjectIsNotThere(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        try await remote.put([1], at: "there/it-is")
        for key in ["not/there", "there", "there/it-is/below"] {
            let error = await #expect(throws: MLOpsError.self) { try await remote.get(key) }
            #expect(error?.kind == .notFound)
            #expect(try await remote.size(of: key) == nil)
            try await remote.remove(key == "there" ? "nothing" : key)
        }
        let folder = try TemporaryFolder()
        let error = await #expect(throws: MLOpsError.self) { try await remote.download("no", to: folder("f")) }
        #expect(error?.kind == .notFound)
        #expect(try await remote.get("there/it-is") == [1])
    }

    @Test(arguments: RemoteMaker.all)
    func refusesARangeBeyondTheEnd(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        try await remote.put([1, 2, 3], at: "short")
        for range: Range<Int64> in [1..<5, 10..<12] {
            let error = await #expect(throws: MLOpsError.self) { try await remote.get("short", range: range) }
            #expect(error?.kind == .damaged)
        }
    }

    @Test(arguments: RemoteMaker.all)
    func movesFilesBothWays(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let folder = try TemporaryFolder()
        let bytes = noise(3_000_000)
        let path = try folder.write("source", bytes)
        let sent = Mutex<Int64>(0)
        try await remote.upload(file: path, to: "packs/a.pack", digest: Digest.of(bytes)) { count in
            sent.withLock { $0 += count }
        }
        let received = Mutex<Int64>(0)
        try folder.write("target", "longer than nothing")
        try await remote.download("packs/a.pack", to: folder("target")) { count in received.withLock { $0 += count } }
        #expect(try folder.read("target") == bytes)
        #expect(sent.withLock { $0 } == 3_000_000)
        #expect(received.withLock { $0 } == 3_000_000)
    }

    @Test(arguments: RemoteMaker.all)
    func storesNothingOfAFileWithOtherBytes(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let folder = try TemporaryFolder()
        let path = try folder.write("source", "flipped")
        let error = await #expect(throws: MLOpsError.self) {
            try await remote.upload(file: path, to: "packs/a.pack", digest: Digest.of("right"))
        }
        #expect(error?.kind == .damaged)
        #expect(try await remote.list("").isEmpty)
    }

    @Test(arguments: RemoteMaker.all)
    func createsAnObjectOnce(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        #expect(try await remote.putIfAbsent([1], at: "events/1.json"))
        #expect(try await !remote.putIfAbsent([2], at: "events/1.json"))
        #expect(try await remote.get("events/1.json") == [1])
    }

    @Test(arguments: RemoteMaker.all)
    func letsOneOfManyWritersWin(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        // SeaweedFS lets each loser of a race wait for a second, so there are few of them.
        let wins = try await mapConcurrently(Array(0..<(maker.name == "S3" ? 4 : 16)), width: 16) { number in
            try await remote.putIfAbsent([UInt8(number)], at: "events/race.json")
        }
        #expect(wins.count { $0 } == 1)
        let winner = wins.firstIndex(of: true).map { UInt8($0) }
        #expect(try await remote.get("events/race.json").first == winner)
    }

    @Test(arguments: RemoteMaker.all)
    func listsWhatLiesBelowAFolder(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        let keys = [
            "models/a/1.json", "models/a+b c/2.json", "models/é/3.json", "models2/4.json", "models/a.json", "top",
            "models/(x)!'=@~&/5.json",
        ]
        for (index, key) in keys.enumerated() { try await remote.put([UInt8](repeating: 0, count: index), at: key) }
        let below = keys.filter { $0.hasPrefix("models/") }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(try await remote.list("models").map(\.key) == below)
        #expect(try await remote.list("models/").map(\.key) == below)
        #expect(try await remote.list("").count == keys.count)
        #expect(try await remote.list("models2").map(\.byteCount) == [3])
        #expect(try await remote.list("nothing/here").isEmpty)
        for key in keys { #expect(try await remote.get(key).count == keys.firstIndex(of: key)) }
    }

    @Test(arguments: RemoteMaker.all)
    func forgetsWhatIsRemoved(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        try await remote.put([1], at: "a/b")
        try await remote.remove("a/b")
        try await remote.remove("a/b")
        #expect(try await remote.size(of: "a/b") == nil)
        #expect(try await remote.list("").isEmpty)
    }

    @Test(arguments: RemoteMaker.all)
    func refusesKeysThatCouldLeaveIt(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        for key in hostileKeys {
            let folder = try TemporaryFolder()
            let path = try folder.write("f", "x")
            await expectUsage(key) { _ = try await remote.get(key) }
            await expectUsage(key) { _ = try await remote.get(key, range: 0..<1) }
            await expectUsage(key) { try await remote.put([1], at: key) }
            await expectUsage(key) { _ = try await remote.putIfAbsent([1], at: key) }
            await expectUsage(key) { try await remote.upload(file: path, to: key, digest: Digest.of("x")) }
            await expectUsage(key) { try await remote.download(key, to: path) }
            await expectUsage(key) { _ = try await remote.size(of: key) }
            await expectUsage(key) { try await remote.remove(key) }
            if !key.isEmpty, !key.hasSuffix("/") { await expectUsage(key) { _ = try await remote.list(key) } }
        }
        #expect(try await remote.list("").isEmpty)
    }

    private func expectUsage(_ key: String, _ body: @Sendable () async throws -> Void) async {
        let error = await #expect(throws: MLOpsError.self, "key \(key)") { try await body() }
        #expect(error?.kind == .usage, "key \(key)")
    }

    @Test(arguments: RemoteMaker.all)
    func isProbedAndMarkedWithItsFormat(_ maker: RemoteMaker) async throws {
        let (remote, owner) = try maker.make()
        defer { withExtendedLifetime(owner) {} }
        #expect(try await probeRemote(remote).hasConditionalWrites)
        #expect(try await probeRemote(remote).hasConditionalWrites)
        #expect(try await remote.list("").map(\.key) == ["format.json"])
        #expect(try await remote.get("format.json") == Array(#"{"format":1,"requires":[]}"#.utf8))
    }

    @Test(arguments: [
        #"{"format":2,"requires":[]}"#, #"{"format":1,"requires":["encryption"]}"#,
    ])
    func refusesANewerFormat(_ text: String) async throws {
        let (remote, owner) = try RemoteMaker.directory.make()
        defer { withExtendedLifetime(owner) {} }
        try await remote.put(Array(text.utf8), at: "format.json")
        let error = await #expect(throws: MLOpsError.self) { try await probeRemote(remote) }
        #expect(error?.hint == "install a newer mlops")
        #expect(try await remote.list("").count == 1)
    }
}

/// Each would mean another place to a file system, a URL, or a second decoding.
let hostileKeys = [
    "", "/", "/etc/passwd", "../x", "a/../../b", "a/..", "a/./b", ".", "..", "a//b", "a/", "a\\..\\b", "..\\x",
    "%2e%2e%2fx", "a%2fb", "%252e%252e/x", "a;b", "a#b", "a?b", "a\0b", "a\nb", "a\u{1B}[2Jb", "a\u{202E}b", "C:x",
    ".git/config", ".mlops/x", "a/.hidden", "a/.x.mlops-tmp", "a|b", "a*", String(repeating: "x", count: 251),
    String(repeating: "x/", count: 600) + "x",
]
