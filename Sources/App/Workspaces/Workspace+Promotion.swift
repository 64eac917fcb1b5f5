package import ArtifactRegistry
package import Basics
package import Gates

/// What `mlops registry promote` or `rollback` did.
package struct PromotionReport: Encodable, Sendable {
    package var artifact: ArtifactName
    package var version: Int
    package var alias: String
    /// The version that the alias named before.
    package var previous: Int?
    /// The verdicts on the rules; nil if there were none.
    package var gate: JSONValue?
}

extension Workspace {
    /// Points `alias` at a version whose recorded metrics pass `rules`, and whose own gates passed when it was published.
    ///
    /// A refusal is recorded as an event too, then thrown.
    ///
    /// - Throws: kind `.refused` naming rule, value and limit; nothing is promoted then.
    package func promote(
        _ reference: ArtifactReference, to alias: String, rules: [GateRule], remoteName: String? = nil
    ) async throws -> PromotionReport {
        let artifact = reference.artifact
        let shared = try await remoteForPublishing(named: remoteName)
        if let shared { try await receiveEvents(of: artifact, from: shared) }
        let others = try await baselines(of: rules)
        let outcome = try await registry.promote(reference, to: alias) { version, history in
            // After a lost race the artifact's own baselines are others than before.
            let own = try Workspace.baselines(of: rules, in: history)
            return try Workspace.decide(on: version, rules: rules, baselines: others.merging(own) { _, new in new })
        }
        if let shared { try await shareDecision(on: artifact, with: shared) }
        if outcome.isRefused {
            let reasons = outcome.gate?.report["failures"]?.array?.compactMap(\.string) ?? []
            throw MLOpsError(
                .refused,
                "\(artifact)@v\(outcome.version.version) is not promoted to `\(alias)`: "
                    + reasons.joined(separator: "; "),
                hint: "run `mlops registry show \(artifact)@v\(outcome.version.version)` to see what was measured")
        }
        return PromotionReport(
            artifact: artifact, version: outcome.version.version, alias: alias, previous: outcome.from,
            gate: outcome.gate?.report)
    }

    /// Points `alias` back at the version that it named before.
    package func rollback(
        _ artifact: ArtifactName, alias: String, to version: Int? = nil, reason: String? = nil,
        remoteName: String? = nil
    ) async throws -> PromotionReport {
        let shared = try await remoteForPublishing(named: remoteName)
        if let shared { try await receiveEvents(of: artifact, from: shared) }
        let outcome = try await registry.rollback(artifact, alias: alias, to: version, reason: reason)
        if let shared { try await shareDecision(on: artifact, with: shared) }
        return PromotionReport(
            artifact: artifact, version: outcome.version.version, alias: alias, previous: outcome.from)
    }

    /// Shares the events of `artifact` after a decision about one of its aliases.
    ///
    /// - Throws: kind `.conflict` if others moved the alias in the meantime, so that the decision was given up.
    private func shareDecision(on artifact: ArtifactName, with shared: EventRemote) async throws {
        let done = try await shareEvents(of: artifact, with: shared)
        guard done.events.dropped.isEmpty else {
            throw MLOpsError(
                .conflict, done.events.dropped.joined(separator: "; "),
                hint: "run `mlops registry log \(artifact)` to see what others did, then decide again")
        }
    }

    /// The word of the version's own gates, as recorded when it was published, and of `rules` over its recorded metrics.
    private static func decide(
        on version: VersionRecord, rules: [GateRule], baselines: [String: JSONValue]
    ) throws -> GateDecision {
        let recorded = version.gates?.object ?? [:]
        var failures = recorded.filter { $0.value["passed"]?.boolean != true }.keys.sorted()
            .map { "gate `\($0)` refused it when it was published" }
        var report: [String: JSONValue] = ["recorded": version.gates ?? .null]
        if !rules.isEmpty {
            let verdict = evaluate(
                rules: rules, input: GateInput(metrics: version.metrics, baselines: baselines), seed: 0)
            failures += verdict.failures
            report["rules"] = try JSONValue(encoding: verdict)
        }
        report["passed"] = .bool(failures.isEmpty)
        report["failures"] = .array(failures.map(JSONValue.string))
        return GateDecision(passed: failures.isEmpty, report: .object(report))
    }

    /// The recorded metrics of the versions that `rules` compare with; a baseline that does not exist is left out, so that
    /// its rule decides.
    package func baselines(of rules: [GateRule]) async throws -> [String: JSONValue] {
        var baselines: [String: JSONValue] = [:]
        for name in Set(rules.compactMap(\.baseline)) {
            do {
                baselines[name] = try await registry.resolve(try ArtifactReference(name)).metrics
            } catch let error as MLOpsError where error.kind == .notFound {
                continue
            }
        }
        return baselines
    }

    /// The same for those rules that compare with a version of the artifact itself, as `history` has it.
    private static func baselines(of rules: [GateRule], in history: ArtifactHistory) throws -> [String: JSONValue] {
        var baselines: [String: JSONValue] = [:]
        for name in Set(rules.compactMap(\.baseline)) {
            let reference = try ArtifactReference(name)
            guard reference.artifact == history.artifact else { continue }
            baselines[name] = try? history.resolve(reference.selector).metrics
        }
        return baselines
    }
}

extension Workspace {
    /// What tells that a baseline changed: the digest of its artifact's newest event here, or null if there is none.
    package func baselineState(of name: String) throws -> JSONValue {
        let artifact = try ArtifactReference(name).artifact
        let folder = FileSystem.join(localEvents.root, artifact.description)
        guard FileSystem.isDirectory(folder) else { return .null }
        let numbers = try FileSystem.list(folder).compactMap { EventKey.parse("\(artifact)/\($0)")?.number }
        guard let last = numbers.max() else { return .null }
        let bytes = try FileSystem.read(FileSystem.join(localEvents.root, EventKey.path(artifact, number: last)))
        return .string(Digest.of(bytes).description)
    }
}
