import Basics
import TestSupport
import Testing

/// Damage here and there, and what mends it.
@Suite struct HealTests {
    private let project: Project
    private let shared: TemporaryFolder

    init() throws {
        project = try Project()
        shared = try TemporaryFolder()
        for index in 0..<4 {
            let noise = (0..<50_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ index &* 977) >> 11) }
            try project.folder.write("data/x/\(index)", noise)
        }
        try project.mlops("add", "data/x").expectSuccess()
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        try project.commit("Data")
        try project.mlops("registry", "push", "datasets/x").expectSuccess()
    }

    private func packs(_ folder: String) throws -> [String] {
        try FileSystem.list(folder).flatMap { name in
            try FileSystem.list("\(folder)/\(name)").map { "\(folder)/\(name)/\($0)" }
        }
    }

    private var localPacks: [String] { get throws { try packs(project.folder(".mlops/store/packs")) } }
    private var remotePacks: [String] { get throws { try packs(shared("remote/packs")) } }

    private func damage(_ path: String) throws {
        var bytes = try FileSystem.read(path)
        bytes[bytes.count / 2] ^= 4
        try FileSystem.removeFile(path)
        try FileSystem.replace(path, with: bytes)
    }

    private func expectWhole() throws {
        try project.mlops("fsck").expectSuccess()
        let before = try FileSystem.read(project.folder("data/x/2"))
        try FileSystem.removeTree(project.folder("data/x"))
        try project.mlops("checkout").expectSuccess()
        #expect(try FileSystem.read(project.folder("data/x/2")) == before)
    }

    @Test func aDamagedPackIsMendedFromTheWorkspace() throws {
        try FileSystem.removeTree(shared("remote"))
        try damage(try #require(try localPacks.first))
        let found = try project.mlops("fsck")
        #expect(found.exitCode == 12 && found.error.contains("mlops fsck --heal"), "\(found.all)")
        let healed = try project.mlops("fsck", "--heal")
        #expect(healed.exitCode == 0 && healed.output.contains("healed  datasets/x"), "\(healed.all)")
        try expectWhole()
    }

    @Test(arguments: ["flipped", "removed", "cut", "emptied"])
    func aDamagedPackIsMendedFromTheRemote(_ way: String) throws {
        let pack = try #require(try localPacks.first)
        switch way {
        case "removed": try FileSystem.removeFile(pack)
        case "cut": try FileSystem.replace(pack, with: Array(try FileSystem.read(pack).prefix(1000)))
        case "emptied": try FileSystem.replace(pack, with: [])
        default: try damage(pack)
        }
        let saved = try project.folder.read("data/x/2")
        try FileSystem.removeTree(project.folder("data/x"))
        let healed = try project.mlops("fsck", "--heal")
        #expect(healed.exitCode == 0 && healed.output.contains(shared("remote")), "\(healed.all)")
        try project.mlops("checkout").expectSuccess()
        #expect(try project.folder.read("data/x/2") == saved)
        try expectWhole()
    }

    @Test func whatNobodyHasIsNamed() throws {
        try damage(try #require(try localPacks.first))
        try FileSystem.removeTree(project.folder("data/x"))
        try FileSystem.removeTree(shared("remote"))
        let healed = try project.mlops("fsck", "--heal")
        #expect(healed.exitCode == 12 && healed.output.contains("not healed  datasets/x"), "\(healed.all)")
        #expect(healed.output.contains("set aside"), "the sound rest of the pack stays")
    }

    @Test func brokenPointersAndEventsAreNamedAndEventsComeBack() throws {
        try project.folder.write("data/y", "y")
        try project.mlops("add", "data/y").expectSuccess()
        try project.commit("Y")
        try FileSystem.replace(project.folder("registry/datasets/y.yaml"), with: [])
        try FileSystem.replace(project.folder(".mlops/events/datasets/x/1.json"), with: [])
        let found = try project.mlops("fsck")
        #expect(found.exitCode == 12, "\(found.all)")
        #expect(found.output.contains("pointer `registry/datasets/y.yaml`"), "\(found.all)")
        #expect(found.output.contains("the events of `datasets/x`"), "\(found.all)")
        try project.git("checkout", "-q", "--", "registry")
        let healed = try project.mlops("fsck", "--heal")
        #expect(healed.exitCode == 0, "\(healed.all)")
        try project.mlops("registry", "show", "datasets/x").expectSuccess()
    }

    // MARK: The remote

    @Test func aSoundRemoteIsClean() throws {
        for flags in [["--remote"], ["--remote", "origin", "--read-data"]] {
            let result = try Program.mlops(["fsck"] + flags, in: project.path)
            #expect(result.exitCode == 0 && result.output.contains("clean"), "\(result.all)")
        }
        try project.folder.write("data/new", "new")
        try project.mlops("add", "data/new").expectSuccess()
        let unsent = try project.mlops("fsck", "--remote")
        #expect(unsent.exitCode == 1 && unsent.output.contains("not sent  datasets/new"), "\(unsent.all)")
        try project.mlops("push").expectSuccess()
        try project.mlops("fsck", "--remote").expectSuccess()
    }

    @Test(arguments: ["pack gone", "pack cut", "pack flipped", "index flipped", "pack gone and repacked here"])
    func aHurtRemoteIsFoundAndMendedFromHere(_ way: String) throws {
        let index = try #require(try FileSystem.list(shared("remote/index")).first)
        let pack = try #require(try remotePacks.first)
        switch way {
        case "pack cut": try FileSystem.replace(pack, with: Array(try FileSystem.read(pack).dropLast(9)))
        case "pack flipped": try damage(pack)
        case "index flipped": try damage(shared("remote/index/\(index)"))
        default: try FileSystem.removeFile(pack)
        }
        if way.hasSuffix("here") {
            // The same objects lie in another pack here, in another order.
            try FileSystem.removeTree(project.folder(".mlops/store"))
            for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
                try FileSystem.removeFile(project.folder(".mlops/\(name)"))
            }
            let other = shared("other")
            try FileSystem.rename(project.folder("data/x"), to: other)
            try project.folder.write("data/x/3", try FileSystem.read(other + "/3"))
            try project.mlops("add", "data/x").expectSuccess()
            try FileSystem.removeTree(project.folder("data/x"))
            try FileSystem.rename(other, to: project.folder("data/x"))
            try project.mlops("add", "data/x").expectSuccess()
        }
        let flags = way == "pack flipped" ? ["--read-data"] : []
        let found = try Program.mlops(["fsck", "--remote"] + flags, in: project.path)
        #expect(found.exitCode == 12 && found.all.contains("datasets/x@v1"), "\(found.all)")
        let healed = try Program.mlops(["fsck", "--remote", "--heal"] + flags, in: project.path)
        #expect(healed.exitCode == 0, "\(healed.all)")
        try project.mlops("fsck", "--remote", "--read-data").expectSuccess()
        // A machine that has nothing gets everything.
        let clone = shared("clone")
        try Program.run("git", ["clone", "-q", project.path, clone], in: shared.path).expectSuccess()
        try Program.mlops(["pull"], in: clone).expectSuccess()
        #expect(try shared.read("clone/data/x/3") == project.folder.read("data/x/3"))
    }

    @Test func whatIsNowhereIsReportedAndNothingIsLost() throws {
        try FileSystem.removeFile(try #require(try remotePacks.first))
        for pack in try localPacks { try FileSystem.removeFile(pack) }
        try FileSystem.removeTree(project.folder("data/x"))
        let result = try project.mlops("fsck", "--remote", "--heal")
        #expect(result.exitCode == 12 && result.error.contains("not here"), "\(result.all)")
    }

    @Test func aBrokenEventOnTheRemoteIsNamed() throws {
        try FileSystem.replace(shared("remote/events/datasets/x/1.json"), with: Array("{}".utf8))
        let result = try project.mlops("fsck", "--remote")
        #expect(result.exitCode == 12 && result.output.contains("the events of `datasets/x`"), "\(result.all)")
    }
}
