internal import Basics

/// A log in a folder: `<root>/models/census/7.json`.
///
/// Writers of one artifact race for the next file, which `link(2)` gives to one of them. The lock `<root>/.lock` is
/// shared by writers and exclusive only while a rebase cuts events off.
package struct DirectoryEventLog: EventLog {
    package let root: String

    /// The log at `root`, made on the first write.
    package init(root: String) { self.root = root }

    package func location(of artifact: ArtifactName, number: Int) -> String {
        FileSystem.join(root, EventKey.path(artifact, number: number))
    }

    package func artifacts() async throws -> [ArtifactName] {
        var found: [ArtifactName] = []
        func visit(_ folder: String, _ path: String) throws {
            let names = try FileSystem.list(folder).filter { !$0.hasPrefix(".") }
            if names.contains(where: { EventKey.number(ofFile: $0) != nil }), let artifact = try? ArtifactName(path) {
                found.append(artifact)
            }
            for name in names where FileSystem.isDirectory(FileSystem.join(folder, name)) {
                try visit(FileSystem.join(folder, name), path.isEmpty ? name : path + "/" + name)
            }
        }
        if FileSystem.isDirectory(root) { try visit(root, "") }
        return found.sorted()
    }

    package func numbers(of artifact: ArtifactName) async throws -> [Int] {
        let folder = folder(of: artifact)
        guard FileSystem.isDirectory(folder) else { return [] }
        return try FileSystem.list(folder).compactMap(EventKey.number(ofFile:)).sorted()
    }

    package func read(_ artifact: ArtifactName, number: Int) async throws -> [UInt8] {
        try FileSystem.read(location(of: artifact, number: number))
    }

    package func append(_ event: StoredEvent) async throws -> Bool {
        let artifact = event.event.artifact
        try FileSystem.createDirectories(folder(of: artifact))
        let lock = try await lock(.shared)
        defer { withExtendedLifetime(lock) {} }
        return try place(event, of: artifact)
    }

    /// Replaces everything after event `count` by `events`, which continue the chain. Whoever stops in between leaves a
    /// shorter history that is whole.
    ///
    /// - Returns: false if someone appended to the artifact since `lastNumber` was its last event; nothing was changed
    ///   then.
    func replaceTail(
        of artifact: ArtifactName, after count: Int, through lastNumber: Int, by events: [StoredEvent]
    )
        async throws -> Bool
    {
        try FileSystem.createDirectories(folder(of: artifact))
        let lock = try await lock(.exclusive)
        defer { withExtendedLifetime(lock) {} }
        guard try await numbers(of: artifact).last ?? 0 == lastNumber else { return false }
        for number in stride(from: lastNumber, to: count, by: -1) {
            try FileSystem.removeFile(location(of: artifact, number: number))
            try FileSystem.synchronizeDirectory(folder(of: artifact))
        }
        for event in events {
            guard try place(event, of: artifact) else {
                let location = location(of: artifact, number: event.event.number)
                throw MLOpsError(.conflict, "`\(location)` was written by another program")
            }
        }
        return true
    }

    /// Creates the event's file if the event before it is the one that it names.
    private func place(_ event: StoredEvent, of artifact: ArtifactName) throws -> Bool {
        let number = event.event.number
        if let previous = event.event.previous {
            let path = location(of: artifact, number: number - 1)
            guard FileSystem.exists(path), Digest.of(try FileSystem.read(path)) == previous else { return false }
        }
        return try FileSystem.createExclusively(location(of: artifact, number: number), with: event.bytes)
    }

    private func folder(of artifact: ArtifactName) -> String { FileSystem.join(root, artifact.description) }

    private func lock(_ mode: FileLock.Mode) async throws -> FileLock {
        try await FileLock(FileSystem.join(root, ".lock"), mode, timeout: .seconds(30))
    }
}
