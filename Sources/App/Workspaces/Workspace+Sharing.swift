package import ArtifactRegistry
internal import Basics
internal import ContentStorage
package import Remotes

/// A remote that events are shared through.
struct EventRemote: Sendable {
    var name: String
    var remote: any Remote
    /// Whether one machine alone publishes there, so that the store need not honour conditional writes.
    var isSingleWriter: Bool
}

extension Workspace {
    /// The events on a remote.
    ///
    /// - Parameter isSingleWriter: an event is put where none lies, without leaving it to the store to refuse a second one.
    package func events(on remote: any Remote, isSingleWriter: Bool = false) -> any EventLog {
        ClosureEventLog(
            place: remote.location, get: { key in try await remote.get(key) },
            putIfAbsent: { bytes, key in
                guard isSingleWriter else { return try await remote.putIfAbsent(bytes, at: key) }
                if try await remote.size(of: key) != nil { return false }
                try await remote.put(bytes, at: key)
                return true
            },
            list: { prefix in try await remote.list(prefix).map(\.key) })
    }

    /// The remote that events are shared through: the named one, or the default; nil if the project has none.
    func remoteForEvents(named name: String?, options: TransferOptions = TransferOptions()) throws -> EventRemote? {
        guard try name != nil || !remotes().isEmpty else { return nil }
        let found = try remote(named: name)
        return EventRemote(
            name: found.name, remote: try open(found, options: options),
            isSingleWriter: found.configuration.isSingleWriter == true)
    }

    /// The same, for adding events.
    ///
    /// - Throws: kind `.notAllowed` if its store would let one writer overwrite another's event.
    func remoteForPublishing(
        named name: String?, options: TransferOptions = TransferOptions()
    ) async throws -> EventRemote? {
        guard let found = try remoteForEvents(named: name, options: options) else { return nil }
        if found.isSingleWriter { return found }
        guard try await honoursConditionalWrites(found.remote) else {
            throw MLOpsError(
                .notAllowed,
                "the remote `\(found.name)` (`\(found.remote.location)`) does not honour conditional writes, so two writers could overwrite each other's versions",
                hint: "if one machine alone publishes there, set `single_writer: true` for it in the configuration; "
                    + "otherwise use a store that honours `If-None-Match: *` (data can be pushed all the same)")
        }
        return found
    }

    /// Brings the remote's events of `artifact` here; what is here alone stays.
    @discardableResult
    func receiveEvents(of artifact: ArtifactName, from shared: EventRemote) async throws -> SyncReport {
        try await synchronize(
            local: localEvents, shared: events(on: shared.remote), artifact: artifact, direction: .receive)
    }

    /// Sends the content of every version of `artifact` that is here, then makes both logs agree.
    @discardableResult
    func shareEvents(
        of artifact: ArtifactName, with shared: EventRemote, options: TransferOptions = TransferOptions()
    ) async throws -> (transfer: TransferReport, events: SyncReport) {
        let history = try await registry.history(of: artifact)
        var roots: [ContentRoot] = []
        for version in history.versions where history.withdrawn[version.version] == nil {
            for root in version.contents.map(ContentRoot.init) where try !roots.contains(root) && store.contains(root) {
                roots.append(root)
            }
        }
        // The content goes first: an event that is there must never name content that is not.
        let transfer = try await Transfer(store: store, remote: shared.remote, options: options).push(roots)
        let log = events(on: shared.remote, isSingleWriter: shared.isSingleWriter)
        return (transfer, try await synchronize(local: localEvents, shared: log, artifact: artifact))
    }
}
