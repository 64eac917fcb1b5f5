internal import Basics

/// Which way events may go.
package enum SyncDirection: Sendable {
    /// Shared events come here; local ones stay here.
    case receive
    /// Both logs end equal.
    case both
}

/// What a synchronization did to one artifact.
package struct SyncReport: Hashable, Sendable, Codable {
    package var artifact: ArtifactName
    /// How many shared events were new here.
    package var received = 0
    /// How many local events were new to the others.
    package var sent = 0
    /// The new numbers of local versions, by their old ones, where others had published in between.
    package var renumbered: [Int: Int] = [:]
    /// Local decisions that no longer hold and were given up, each as a sentence.
    package var dropped: [String] = []

    /// A report of nothing to do.
    package init(artifact: ArtifactName) { self.artifact = artifact }
}

/// Makes the local log of `artifact` and the shared one agree.
///
/// The shared log defines history: whichever side is behind is brought forward, and local events that the shared log
/// lacks are put after its own. Versions among them get new numbers, and the local events about these versions follow.
/// A promotion or rollback is given up if the others moved the same alias since, a withdrawal if they use the version;
/// nothing else is lost. Stopped anywhere, both logs are whole, and the next call ends the work without doubling an
/// event.
///
/// The content of all local versions must be in the shared store before this is called with `.both`.
///
/// - Throws: kind `.conflict` for `.receive` if both sides have events that the other lacks, `.damaged` if a log is.
package func synchronize(
    local: DirectoryEventLog, shared: any EventLog, artifact: ArtifactName, direction: SyncDirection = .both
) async throws -> SyncReport {
    var report = SyncReport(artifact: artifact)
    for _ in 0..<100 {
        var round = try await SyncRound(local: local, shared: shared, artifact: artifact)
        if try await round.finish(direction, &report) { return report }
    }
    throw MLOpsError(
        .conflict, "`\(artifact)` kept changing while it was synchronized", hint: "run the same command again")
}

/// One attempt, on both logs as they were at its start.
private struct SyncRound {
    let local: DirectoryEventLog
    let shared: any EventLog
    let artifact: ArtifactName
    /// All local events, and how many of them the shared log has in the same places.
    let localEvents: [StoredEvent]
    let commonCount: Int
    /// The shared events after these.
    let newShared: [StoredEvent]
    /// Those of them that are not our own, sent by an earlier call.
    let foreign: [StoredEvent]
    /// The fold of all shared events.
    var history: ArtifactHistory

    var localOnly: ArraySlice<StoredEvent> { localEvents[commonCount...] }

    init(local: DirectoryEventLog, shared: any EventLog, artifact: ArtifactName) async throws {
        self.local = local
        self.shared = shared
        self.artifact = artifact
        let localCount = try await local.eventCount(of: artifact)
        localEvents = localCount == 0 ? [] : try await local.load(artifact, 1...localCount)
        // Verifies the local chain, on which the next lines rely.
        _ = try ArtifactHistory(artifact: artifact, events: localEvents, log: local)
        let sharedCount = try await shared.eventCount(of: artifact)
        commonCount = try await SyncRound.commonCount(localEvents, shared, artifact, sharedCount)
        newShared = commonCount == sharedCount ? [] : try await shared.load(artifact, commonCount + 1...sharedCount)
        let localIDs = Set(localEvents[commonCount...].map(\.event.id))
        foreign = newShared.filter { !localIDs.contains($0.event.id) }
        history = try ArtifactHistory(artifact: artifact, events: Array(localEvents[..<commonCount]), log: local)
        for event in newShared {
            try history.append(event, location: shared.location(of: artifact, number: event.event.number))
        }
    }

    /// How many events both logs start with. Equal events have equal predecessors, so halving finds the last equal one.
    private static func commonCount(
        _ localEvents: [StoredEvent], _ shared: any EventLog, _ artifact: ArtifactName, _ sharedCount: Int
    ) async throws -> Int {
        func isCommon(_ number: Int) async throws -> Bool {
            Digest.of(try await shared.read(artifact, number: number)) == localEvents[number - 1].digest
        }
        var common = 0
        var beyond = min(localEvents.count, sharedCount) + 1
        var probe = beyond - 1
        while common + 1 < beyond {
            if try await isCommon(probe) { common = probe } else { beyond = probe }
            probe = (common + beyond) / 2
        }
        return common
    }

    /// Brings both logs to agree; false if someone changed one meanwhile and another round is needed.
    mutating func finish(_ direction: SyncDirection, _ report: inout SyncReport) async throws -> Bool {
        let sharedIDs = Set(newShared.map(\.event.id))
        let unsent = localOnly.filter { !sharedIDs.contains($0.event.id) }
        if direction == .receive, !unsent.isEmpty {
            if newShared.isEmpty { return true }
            throw MLOpsError(
                .conflict,
                "`\(artifact)` has \(Format.count(unsent.count, "event")) here that the others lack, and they went on",
                hint: "run `mlops registry push \(artifact)` to put yours after theirs")
        }
        report.renumbered = [:]
        report.dropped = []
        guard let added = try await send(unsent, &report) else { return false }
        let tail = newShared + added
        if tail.map(\.digest) == localOnly.map(\.digest) { return true }
        let isReplaced = try await local.replaceTail(
            of: artifact, after: commonCount, through: localEvents.count, by: tail)
        if isReplaced { report.received = foreign.count }
        return isReplaced
    }

    /// Appends the unsent local events to the shared log, rewritten to follow it; nil if someone else was faster.
    private mutating func send(_ unsent: [StoredEvent], _ report: inout SyncReport) async throws -> [StoredEvent]? {
        var rebase = Rebase(others: foreign)
        rebase.noteNumbers(of: localOnly, sentAs: newShared)
        var added: [StoredEvent] = []
        for stored in unsent {
            var event = stored.event
            event.body = rebase.body(of: event, after: history)
            if let fault = rebase.fault(in: event.body, after: history) {
                report.dropped.append("\(event.body.summary) was given up: \(fault)")
                continue
            }
            event.number = history.events.count + 1
            event.previous = history.events.last?.digest
            let placed = try StoredEvent(event)
            guard try await shared.place(placed) else { return nil }
            try history.append(placed, location: shared.location(of: artifact, number: event.number))
            added.append(placed)
            report.sent += 1
        }
        report.renumbered = rebase.newNumbers.filter { $0.key != $0.value }
        return added
    }
}

/// How local events change when they are put after those of others.
private struct Rebase {
    /// The new numbers of local versions by their old ones; versions before the fork are not in it.
    private(set) var newNumbers: [Int: Int] = [:]
    /// The aliases that others moved since the fork.
    private let movedAliases: Set<String>

    init(others: [StoredEvent]) { movedAliases = Set(others.compactMap(\.event.body.movedAlias)) }

    /// Learns the numbers of versions that an earlier, stopped call sent already.
    mutating func noteNumbers(of localOnly: some Sequence<StoredEvent>, sentAs shared: [StoredEvent]) {
        let sharedByID = Dictionary(
            shared.map { ($0.event.id, $0.event.body) }, uniquingKeysWith: { first, _ in first })
        for stored in localOnly {
            if case .published(let old) = stored.event.body, case .published(let new)? = sharedByID[stored.event.id] {
                newNumbers[old.version] = new.version
            }
        }
    }

    /// The body of a local event with the numbers that its versions have after `history`.
    mutating func body(of event: RegistryEvent, after history: ArtifactHistory) -> RegistryEvent.Body {
        func number(_ old: Int) -> Int { newNumbers[old] ?? old }
        switch event.body {
        case .published(var record):
            let new = history.versions.count + 1
            newNumbers[record.version] = new
            record.version = new
            for index in record.parents.indices where record.parents[index].artifact == event.artifact {
                record.parents[index].version = record.parents[index].version.map(number)
            }
            return .published(record)
        case .promoted(var promotion):
            promotion.version = number(promotion.version)
            return .promoted(promotion)
        case .refused(var refusal):
            refusal.version = number(refusal.version)
            return .refused(refusal)
        case .rolledBack(var rollback):
            rollback.from = number(rollback.from)
            rollback.to = number(rollback.to)
            return .rolledBack(rollback)
        case .withdrawn(var withdrawal):
            withdrawal.version = number(withdrawal.version)
            return .withdrawn(withdrawal)
        }
    }

    /// Why a local decision no longer holds after what others did, or nil.
    func fault(in body: RegistryEvent.Body, after history: ArtifactHistory) -> String? {
        if let alias = body.movedAlias, movedAliases.contains(alias) {
            let present = history.aliases[alias].map { "v\($0)" } ?? "another version"
            return "others pointed `\(alias)` at \(present) in the meantime"
        }
        return history.fault(in: body)
    }
}

extension RegistryEvent.Body {
    /// The alias that the event points elsewhere, or nil.
    fileprivate var movedAlias: String? {
        switch self {
        case .promoted(let promotion): promotion.alias
        case .rolledBack(let rollback): rollback.alias
        case .published, .refused, .withdrawn: nil
        }
    }

    /// What the event did, as the start of a sentence.
    package var summary: String {
        switch self {
        case .published(let record): "publishing v\(record.version)"
        case .promoted(let promotion): "promoting v\(promotion.version) to `\(promotion.alias)`"
        case .refused(let refusal):
            "refusing v\(refusal.version)" + (refusal.alias.map { " for `\($0)`" } ?? "")
        case .rolledBack(let rollback): "rolling `\(rollback.alias)` back from v\(rollback.from) to v\(rollback.to)"
        case .withdrawn(let withdrawal): "withdrawing v\(withdrawal.version)"
        }
    }
}
