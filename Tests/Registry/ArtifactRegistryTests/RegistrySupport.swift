import ArtifactRegistry
import Basics
import Synchronization
import TestSupport

/// A version whose content is told by `text`.
func record(_ text: String, parents: [ArtifactParent] = []) -> VersionRecord {
    VersionRecord(
        content: ArtifactContent(digest: .of(text), kind: .file, byteCount: Int64(text.utf8.count), fileCount: 1),
        path: "build/model", parents: parents, metrics: ["test": ["accuracy": 0.9]])
}

/// A registry in a temporary folder whose clock stands still.
struct ScratchRegistry: Sendable {
    let folder: TemporaryFolder
    let log: DirectoryEventLog
    let registry: Registry
    let artifact: ArtifactName

    init(_ artifact: String = "models/census", actor: String = "ada") throws {
        folder = try TemporaryFolder()
        log = DirectoryEventLog(root: folder("events"))
        registry = ScratchRegistry.registry(log, actor)
        self.artifact = try ArtifactName(artifact)
    }

    static func registry(_ log: any EventLog, _ actor: String = "ada") -> Registry {
        Registry(log: log, actor: actor) { Timestamp(milliseconds: 1_800_000_000_000) }
    }

    /// A registry that remembers nothing.
    var fresh: Registry { ScratchRegistry.registry(log) }

    func reference(_ selector: ArtifactReference.Selector) -> ArtifactReference {
        ArtifactReference(artifact, selector)
    }

    func path(_ number: Int) -> String { log.location(of: artifact, number: number) }

    /// Publishes versions v1, v2, … with the given contents.
    func publish(_ contents: String...) async throws {
        for content in contents { _ = try await registry.publish(artifact, record(content)) }
    }
}

/// A shared log in memory, as a remote would offer it.
final class MemoryStore: Sendable {
    let objects = Mutex<[String: [UInt8]]>([:])

    var log: ClosureEventLog {
        ClosureEventLog(
            place: "memory:",
            get: { key in
                guard let bytes = self.objects.withLock({ $0[key] }) else { throw MLOpsError(.notFound, "no `\(key)`") }
                return bytes
            },
            putIfAbsent: { bytes, key in
                self.objects.withLock { objects in
                    if objects[key] != nil { return false }
                    objects[key] = bytes
                    return true
                }
            },
            list: { prefix in self.objects.withLock { $0.keys.filter { $0.hasPrefix(prefix) } } })
    }
}

/// A log that lets something happen before the next append.
final class InterruptedLog: EventLog {
    private let base: any EventLog
    private let interruption: Mutex<(@Sendable () async throws -> Void)?>

    init(_ base: any EventLog, before interruption: @escaping @Sendable () async throws -> Void) {
        self.base = base
        self.interruption = Mutex(interruption)
    }

    func location(of artifact: ArtifactName, number: Int) -> String { base.location(of: artifact, number: number) }
    func artifacts() async throws -> [ArtifactName] { try await base.artifacts() }
    func numbers(of artifact: ArtifactName) async throws -> [Int] { try await base.numbers(of: artifact) }
    func read(_ artifact: ArtifactName, number: Int) async throws -> [UInt8] {
        try await base.read(artifact, number: number)
    }

    func append(_ event: StoredEvent) async throws -> Bool {
        let action = interruption.withLock { action in
            defer { action = nil }
            return action
        }
        try await action?()
        return try await base.append(event)
    }
}

/// A log that stops after some appends, as a killed process does, and may lose the answer of the last.
final class StoppingLog: EventLog {
    private let base: any EventLog
    private let left: Mutex<Int>

    init(_ base: any EventLog, after appends: Int) {
        self.base = base
        left = Mutex(appends)
    }

    func location(of artifact: ArtifactName, number: Int) -> String { base.location(of: artifact, number: number) }
    func artifacts() async throws -> [ArtifactName] { try await base.artifacts() }
    func numbers(of artifact: ArtifactName) async throws -> [Int] { try await base.numbers(of: artifact) }
    func read(_ artifact: ArtifactName, number: Int) async throws -> [UInt8] {
        try await base.read(artifact, number: number)
    }

    func append(_ event: StoredEvent) async throws -> Bool {
        let isOver = left.withLock { left in
            left -= 1
            return left < 0
        }
        if isOver { throw MLOpsError(.interrupted, "stopped") }
        return try await base.append(event)
    }
}
