import Basics
import Foundation
import Synchronization

@testable import Pipelines

/// A store in a folder: files by the digest of their content, trees as a listing of paths and digests.
final class FakeStore: StageStore {
    let root: String
    private let folder: String
    private let artifacts = Mutex<[String: String]>([:])
    let restored = Mutex<[String]>([])
    let identified = Mutex<[String]>([])

    init(root: String) throws {
        self.root = root
        folder = FileSystem.join(root, ".mlops/fake")
        try FileSystem.createDirectories(folder)
    }

    func setArtifact(_ name: String, _ digest: String) { artifacts.withLock { $0[name] = digest } }

    /// Forgets everything that was kept.
    func empty() throws {
        try FileSystem.removeTree(folder)
        try FileSystem.createDirectories(folder)
    }

    private func files(_ path: String) throws -> [(name: String, bytes: [UInt8])] {
        let full = FileSystem.join(root, path)
        guard FileSystem.isDirectory(full) else { return [("", try FileSystem.read(full))] }
        return try FileSystem.list(full).flatMap { name in
            try files(FileSystem.join(path, name)).map { (($0.name.isEmpty ? name : name + "/" + $0.name), $0.bytes) }
        }
    }

    private func output(_ path: String) throws -> (StoredOutput, [String: [UInt8]])? {
        let full = FileSystem.join(root, path)
        guard FileSystem.exists(full) else { return nil }
        let isTree = FileSystem.isDirectory(full)
        let files = try files(path)
        var digest = Digest.of(files.first?.bytes ?? [])
        if isTree { digest = Digest.of(files.map { "\($0.name) \(Digest.of($0.bytes))\n" }.joined()) }
        let size = Int64(files.reduce(0) { $0 + $1.bytes.count })
        let output = StoredOutput(
            path: path, digest: digest, kind: isTree ? "tree" : "file", byteCount: size, fileCount: files.count)
        return (output, Dictionary(files.map { ($0.name, $0.bytes) }, uniquingKeysWith: { $1 }))
    }

    func identify(path: String) async throws -> StoredOutput? {
        identified.withLock { $0.append(path) }
        return try output(path)?.0
    }

    func keep(path: String) async throws -> StoredOutput {
        guard let (output, files) = try output(path) else { throw MLOpsError(.notFound, "nothing at \(path)") }
        for (name, bytes) in files {
            let target = "\(folder)/\(output.digest.hex)/\(name.isEmpty ? "content" : name)"
            try FileSystem.createDirectories(FileSystem.parent(of: target))
            try FileSystem.replaceUnflushed(target, with: bytes)
        }
        return output
    }

    func restore(_ output: StoredOutput, to path: String) async throws {
        let source = "\(folder)/\(output.digest.hex)"
        let target = FileSystem.join(root, path)
        try FileSystem.removeTree(target)
        try FileSystem.createDirectories(FileSystem.parent(of: target))
        try FileManager.default.copyItem(
            atPath: output.kind == "tree" ? source : source + "/content", toPath: target)
        restored.withLock { $0.append(path) }
    }

    func has(_ output: StoredOutput) async throws -> Bool { FileSystem.exists("\(folder)/\(output.digest.hex)") }

    func artifactDigest(_ name: String) async throws -> String? { artifacts.withLock { $0[name] } }

    func recovery(of path: String) async -> String? {
        path.hasPrefix("data/") ? "run `mlops checkout \(path)`" : nil
    }
}

/// Says that every stage took 2 joules.
struct FakeMeter: EnergyMeter {
    func start() -> any Sendable { 0 }

    func stop(_ token: any Sendable, usage: ResourceUsage) -> JSONValue {
        ["joules": 2, "kwh": 0.5, "method": "fake"]
    }
}
