internal import ArtifactRegistry
internal import Basics
package import ContentStorage
internal import Remotes

/// What `mlops fsck --heal` mended in the store.
package struct HealingReport: Encodable, Sendable {
    /// What was found before.
    package var found = VerificationReport()
    /// Damaged packs, moved away after what is sound in them was copied.
    package var setAside: [String] = []
    /// Content that is whole again, by name.
    package var healed: [String] = []
    /// Where it came from: paths of the workspace, and remotes.
    package var sources: [String] = []
    /// What could not be mended.
    package var unhealed: [String] = []
    /// Why a source could not help.
    package var obstacles: [String] = []

    package init() {}
}

extension Workspace {
    /// Mends the store: keeps what is sound of damaged packs, adds again what the workspace still has, fetches the rest
    /// from the remotes, and events too.
    ///
    /// - Parameter remoteName: the one remote to ask; nil asks all.
    package func heal(remoteName: String?, progress: ProgressHandler? = nil) async throws -> HealingReport {
        var report = HealingReport()
        var named = try await namedContent()
        report.found = try await verify(named, progress: progress)
        guard !report.found.isClean else { return report }
        let remotes = try remotesToAsk(remoteName)
        for artifact in named.brokenHistories {
            try await restoreEvents(of: artifact, from: remotes, &report)
        }
        // Restored events may name more.
        if !named.brokenHistories.isEmpty { named = try await namedContent() }
        if report.found.damages.contains(where: { $0.pack != nil }) {
            report.setAside = try await store.setAside(report.found)
        }
        let hurt = lacking(named)
        try await addAgain(hurt, named, &report)
        for remote in remotes {
            let open = lacking(named)
            if open.isEmpty { break }
            try await fetch(open, from: remote, &report)
        }
        let left = Set(lacking(named).map(\.name))
        if try store.damageOfWholeLog() != nil {
            try store.mendWholeLog(with: named.roots.filter { !left.contains($0.name) }.map(\.root))
            report.healed.append(".mlops/store/whole")
        }
        report.healed += hurt.map(\.name).filter { !left.contains($0) }
        report.unhealed +=
            left.sorted()
            + named.faults.flatMap { fault in
                fault.hurts.map { "\($0): \(fault.object ?? "") \(fault.problem)" }
            }
        return report
    }

    /// What is not whole, of what is named.
    private func lacking(_ named: NamedContent) -> [(name: String, root: ContentRoot)] {
        named.roots.filter { ((try? store.contains($0.root)) ?? false) == false }
    }

    private func remotesToAsk(_ name: String?) throws -> [any Remote] {
        if let name { return [try open(remote(named: name))] }
        let all = try remotes()
        return try (all.filter(\.isDefault) + all.filter { !$0.isDefault }).map { try open($0) }
    }

    /// Files that are in the workspace have the bytes, whether or not all of the artifact is as its pointer says.
    private func addAgain(
        _ hurt: [(name: String, root: ContentRoot)], _ named: NamedContent, _ report: inout HealingReport
    ) async throws {
        // Names are `datasets/x`, and `datasets/x: part`.
        let names = Set(hurt.map { String($0.name.prefix { $0 != ":" }) })
        for pointer in named.pointers where names.contains(pointer.artifact.description) {
            let path = absolute(pointer.path)
            guard FileSystem.exists(path) else { continue }
            do {
                if try await store.add(path: path).newObjectCount > 0 { report.sources.append("`\(pointer.path)`") }
            } catch let error as MLOpsError where error.kind != .io {
                report.obstacles.append("`\(pointer.path)`: \(error.message)")
            }
        }
    }

    private func fetch(
        _ open: [(name: String, root: ContentRoot)], from remote: any Remote, _ report: inout HealingReport
    ) async throws {
        var fetchedCount = 0
        for (name, root) in open {
            try Task.checkCancellation()
            do {
                fetchedCount += try await Transfer(store: store, remote: remote).pull([root]).objectCount
            } catch let error as MLOpsError where error.kind == .notFound || error.kind == .damaged {
                report.obstacles.append("\(name): \(error.message)")
            } catch let error as MLOpsError where error.kind == .unreachable || error.kind == .notAllowed {
                report.obstacles.append(error.message)
                break
            }
        }
        if fetchedCount > 0 { report.sources.append(remote.location) }
    }

    // MARK: Events

    /// Puts the events of a remote in place of those that cannot be read, as far as they continue what can be.
    private func restoreEvents(
        of artifact: ArtifactName, from remotes: [any Remote], _ report: inout HealingReport
    ) async throws {
        for remote in remotes {
            let log = events(on: remote)
            do {
                let numbers = try await log.numbers(of: artifact)
                guard let last = numbers.last, numbers == Array(1...last) else { continue }
                var history = ArtifactHistory(artifact: artifact)
                var events: [StoredEvent] = []
                for number in numbers {
                    let location = log.location(of: artifact, number: number)
                    let event = try StoredEvent(
                        reading: try await log.read(artifact, number: number), artifact: artifact, number: number,
                        location: location)
                    try history.append(event, location: location)
                    events.append(event)
                }
                for event in events { try restore(event, of: artifact) }
                _ = try await registry.history(of: artifact)
                report.healed.append("the events of `\(artifact)`")
                report.sources.append(remote.location)
                return
            } catch let error as MLOpsError where error.kind != .io {
                report.obstacles.append("the events of `\(artifact)`: \(error.message)")
            }
        }
    }

    /// Writes the event over a file that is missing or cannot be read; one that can be read stays.
    private func restore(_ event: StoredEvent, of artifact: ArtifactName) throws {
        let number = event.event.number
        let path = localEvents.location(of: artifact, number: number)
        let bytes = FileSystem.exists(path) ? try FileSystem.read(path) : []
        let isReadable =
            (try? StoredEvent(reading: bytes, artifact: artifact, number: number, location: path)) != nil
        guard !isReadable else { return }
        try Failpoint.reach("heal.event")
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try FileSystem.replace(path, with: event.bytes)
    }
}
