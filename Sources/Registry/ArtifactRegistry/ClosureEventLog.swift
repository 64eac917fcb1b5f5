internal import Basics

/// A log behind calls of a key-value store, such as a remote's: event 7 of `models/census` lies at
/// `<prefix>models/census/7.json`.
package struct ClosureEventLog: EventLog {
    private let prefix: String
    private let place: String
    private let get: @Sendable (_ key: String) async throws -> [UInt8]
    private let putIfAbsent: @Sendable (_ bytes: [UInt8], _ key: String) async throws -> Bool
    private let list: @Sendable (_ prefix: String) async throws -> [String]

    /// - Parameters:
    ///   - place: where the store is, for messages.
    ///   - prefix: of all keys; ends in `/` unless it is empty.
    ///   - get: the bytes at a key.
    ///   - putIfAbsent: stores bytes durably at a key; false, and nothing changed, if the key was taken.
    ///   - list: all keys that start with a prefix, in any order.
    package init(
        place: String, prefix: String = "events/", get: @escaping @Sendable (_ key: String) async throws -> [UInt8],
        putIfAbsent: @escaping @Sendable (_ bytes: [UInt8], _ key: String) async throws -> Bool,
        list: @escaping @Sendable (_ prefix: String) async throws -> [String]
    ) {
        self.place = place
        self.prefix = prefix
        self.get = get
        self.putIfAbsent = putIfAbsent
        self.list = list
    }

    package func location(of artifact: ArtifactName, number: Int) -> String {
        FileSystem.join(place, key(artifact, number))
    }

    package func artifacts() async throws -> [ArtifactName] {
        Set(try await events(below: prefix).map(\.artifact)).sorted()
    }

    package func numbers(of artifact: ArtifactName) async throws -> [Int] {
        try await events(below: "\(prefix)\(artifact)/").filter { $0.artifact == artifact }.map(\.number).sorted()
    }

    package func read(_ artifact: ArtifactName, number: Int) async throws -> [UInt8] {
        try await get(key(artifact, number))
    }

    package func append(_ event: StoredEvent) async throws -> Bool {
        try await putIfAbsent(event.bytes, key(event.event.artifact, event.event.number))
    }

    private func key(_ artifact: ArtifactName, _ number: Int) -> String {
        prefix + EventKey.path(artifact, number: number)
    }

    private func events(below prefix: String) async throws -> [(artifact: ArtifactName, number: Int)] {
        try await list(prefix).compactMap { EventKey.parse(String($0.dropFirst(self.prefix.count))) }
    }
}
