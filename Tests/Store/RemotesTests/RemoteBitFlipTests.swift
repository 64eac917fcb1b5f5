import Basics
import ContentStorage
import Foundation
import Remotes
import TestSupport
import Testing

/// Every bit of what lies in a remote: one that is flipped is noticed before anything enters a store.
@Suite struct RemoteBitFlipTests {
    private static let triesEveryFlip = ProcessInfo.processInfo.environment["MLOPS_PROVE"] == "1"

    /// Pulls with each of some bits of `file` flipped, and counts the pulls that said so.
    private func flip(_ file: String, of remote: DirectoryRemote, _ root: ContentRoot, bits: [Int]) async throws -> Int
    {
        let good = try FileSystem.read(file)
        let folder = try TemporaryFolder()
        var noticed = 0
        for bit in bits {
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            try overwrite(file, bytes)
            let store = try ContentStore(folder: folder(".mlops"))
            do {
                _ = try await Transfer(store: store, remote: remote, jobs: 1).pull([root])
                Issue.record("bit \(bit) of `\(FileSystem.name(of: file))` was not noticed")
                try FileSystem.removeTree(folder(".mlops"))
            } catch {
                noticed += 1
                #expect(try !store.contains(root))
            }
        }
        try overwrite(file, good)
        return noticed
    }

    private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        try FileSystem.removeFile(path)
        try OpenFile(creating: path, mode: 0o644).write(bytes)
    }

    @Test func everyFlippedBitOfARemoteIsNoticed() async throws {
        let folder = try TemporaryFolder()
        let remote = DirectoryRemote(folder: folder("remote"))
        try folder.write("data/text", String(repeating: "compressible ", count: 40))
        // Most of the pack is needed, so it is fetched whole; of ranges, what lies between is not read and does not matter.
        try folder.write("data/noise", noise(1200))
        let store = try ContentStore(folder: folder(".mlops"))
        let root = try await store.add(path: folder("data")).root
        try await RemoteFormat.establish(remote)
        _ = try await Transfer(store: store, remote: remote, jobs: 1).push([root])
        for item in try await remote.list("") where item.key != RemoteFormat.key {
            let path = FileSystem.join(remote.folder, item.key)
            let all = Array(0..<Int(item.byteCount) * 8)
            let bits = RemoteBitFlipTests.triesEveryFlip ? all : all.filter { $0 % 23 == 0 }
            let noticed = try await flip(path, of: remote, root, bits: bits)
            #expect(noticed == bits.count)
            print("bit flips: remote \(item.key.prefix(6)) \(noticed)/\(bits.count) noticed, of \(all.count) bits")
        }
    }

    @Test func everyFlippedBitOfTheFormatFileIsRefused() async throws {
        let folder = try TemporaryFolder()
        let remote = DirectoryRemote(folder: folder.path)
        try await RemoteFormat.establish(remote)
        let good = try await remote.get(RemoteFormat.key)
        for bit in 0..<good.count * 8 {
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            try await remote.put(bytes, at: RemoteFormat.key)
            await #expect(throws: MLOpsError.self, "bit \(bit)") { try await RemoteFormat.check(remote) }
        }
        print("bit flips: format.json \(good.count * 8)/\(good.count * 8) noticed")
    }
}
