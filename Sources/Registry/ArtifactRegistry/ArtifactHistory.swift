internal import Basics

/// What an artifact's events add up to.
package struct ArtifactHistory: Sendable {
    package let artifact: ArtifactName
    /// In their order; event n is `events[n - 1]`.
    package private(set) var events: [StoredEvent] = []
    /// Version n is `versions[n - 1]`.
    package private(set) var versions: [VersionRecord] = []
    /// Why versions were withdrawn, by number.
    package private(set) var withdrawn: [Int: String] = [:]
    /// For each alias the versions that it named, the present one last; rolling back takes them off again.
    private var aliasStacks: [String: [Int]] = [:]

    package init(artifact: ArtifactName) { self.artifact = artifact }

    /// The fold of `events`.
    ///
    /// - Parameter log: where the events lie, for messages.
    /// - Throws: kind `.damaged` naming the first event that breaks the chain or contradicts those before it.
    package init(artifact: ArtifactName, events: [StoredEvent], log: any EventLog) throws {
        self.init(artifact: artifact)
        for event in events { try append(event, location: log.location(of: artifact, number: event.event.number)) }
    }

    /// The version that each alias names.
    package var aliases: [String: Int] { aliasStacks.compactMapValues(\.last) }

    /// The aliases of a version, sorted.
    package func aliases(of version: Int) -> [String] { aliases.filter { $0.value == version }.keys.sorted() }

    /// The versions that `alias` named, the present one last.
    package func past(of alias: String) -> [Int] { aliasStacks[alias] ?? [] }

    /// The newest version that is not withdrawn.
    package var latest: VersionRecord? { versions.last { withdrawn[$0.version] == nil } }

    package func version(_ number: Int) -> VersionRecord? {
        versions.indices.contains(number - 1) ? versions[number - 1] : nil
    }

    /// The version that `selector` names.
    ///
    /// - Throws: kind `.notFound` if there is none, `.failed` if it was withdrawn.
    package func resolve(_ selector: ArtifactReference.Selector) throws -> VersionRecord {
        switch selector {
        case .latest:
            guard let latest else { throw missing("`\(artifact)` has no version in use") }
            return latest
        case .version(let number):
            guard let record = version(number) else { throw missing("version `\(artifact)@v\(number)` does not exist") }
            if let reason = withdrawn[number] {
                throw MLOpsError(
                    .failed, "version `\(artifact)@v\(number)` was withdrawn: \(reason)",
                    hint: latest.map { "use `\(artifact)@v\($0.version)`, the newest that was not" })
            }
            return record
        case .alias(let alias):
            guard let number = aliases[alias], let record = version(number) else {
                throw missing(
                    "`\(artifact)` has no alias `\(alias)`", nearest: nearestName(to: alias, among: aliases.keys))
            }
            return record
        }
    }

    private func missing(_ message: String, nearest: String? = nil) -> MLOpsError {
        let count = Format.count(versions.count, "version")
        return MLOpsError(
            .notFound, message,
            hint: nearest.map { "did you mean `\(artifact)@\($0)`?" }
                ?? "run `mlops registry show \(artifact)` to see its \(count) and their aliases")
    }

    /// The bodiless frame of the next event.
    func next(_ body: RegistryEvent.Body, actor: String, time: Timestamp) throws -> StoredEvent {
        try StoredEvent(
            RegistryEvent(
                artifact: artifact, number: events.count + 1, previous: events.last?.digest, time: time, actor: actor,
                body: body))
    }

    /// Adds the next event.
    ///
    /// - Throws: kind `.damaged` if the event does not follow.
    package mutating func append(_ stored: StoredEvent, location: String) throws {
        let event = stored.event
        guard event.number == events.count + 1, event.previous == events.last?.digest else {
            throw damagedHistory(
                "event \(event.number) of `\(artifact)` does not follow event \(events.count)", location)
        }
        if let fault = fault(in: event.body) {
            throw damagedHistory("event \(event.number) of `\(artifact)` contradicts the history: \(fault)", location)
        }
        apply(event.body)
        events.append(stored)
    }

    /// What makes `body` impossible as the next event, or nil.
    func fault(in body: RegistryEvent.Body) -> String? {
        func unusable(_ version: Int) -> String? {
            if self.version(version) == nil { return "version v\(version) does not exist" }
            return withdrawn[version] == nil ? nil : "version v\(version) is withdrawn"
        }
        switch body {
        case .published(let record):
            return record.version == versions.count + 1
                ? nil : "it publishes v\(record.version) after v\(versions.count)"
        case .promoted(let promotion): return unusable(promotion.version)
        case .refused(let refusal):
            return version(refusal.version) == nil ? "version v\(refusal.version) does not exist" : nil
        case .rolledBack(let rollback):
            if aliases[rollback.alias] != rollback.from { return "`\(rollback.alias)` does not name v\(rollback.from)" }
            return unusable(rollback.to)
        case .withdrawn(let withdrawal):
            let aliases = aliases(of: withdrawal.version)
            if let alias = aliases.first { return "`\(alias)` names v\(withdrawal.version)" }
            return unusable(withdrawal.version)
        }
    }

    private mutating func apply(_ body: RegistryEvent.Body) {
        switch body {
        case .published(let record): versions.append(record)
        case .promoted(let promotion): aliasStacks[promotion.alias, default: []].append(promotion.version)
        case .refused: break
        case .rolledBack(let rollback):
            let stack = past(of: rollback.alias)
            // What lies above the target is forgotten, so that rolling back twice goes two versions back.
            let below = stack.lastIndex(of: rollback.to).map { stack[..<$0] } ?? []
            aliasStacks[rollback.alias] = below + [rollback.to]
        case .withdrawn(let withdrawal): withdrawn[withdrawal.version] = withdrawal.reason
        }
    }
}
