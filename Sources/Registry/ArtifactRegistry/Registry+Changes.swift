package import Basics

/// A version, and whether publishing made it.
package struct PublishOutcome: Hashable, Sendable {
    package var version: VersionRecord
    /// false if the newest version had the same content already.
    package var isNew: Bool
}

/// What a gate says about a version.
package struct GateDecision: Hashable, Sendable {
    package var passed: Bool
    /// Its report, kept in the event.
    package var report: JSONValue

    package init(passed: Bool, report: JSONValue) {
        self.passed = passed
        self.report = report
    }
}

/// Judges a version against the history as it is now: baselines such as `@production` come from it.
package typealias GateCheck =
    @Sendable (_ version: VersionRecord, _ history: ArtifactHistory) async throws -> GateDecision

/// How an attempt to promote ended.
package struct PromotionOutcome: Hashable, Sendable {
    package var alias: String
    package var version: VersionRecord
    /// The version that the alias named before.
    package var from: Int?
    /// The gate's word; nil if none was asked.
    package var gate: GateDecision?
    /// false if the gate refused, or if the alias named the version already.
    package var isMoved: Bool

    /// Whether the gate refused.
    package var isRefused: Bool { gate?.passed == false }
}

/// What an alias names after a rollback.
package struct RollbackOutcome: Hashable, Sendable {
    package var alias: String
    package var from: Int
    package var version: VersionRecord
}

extension Registry {
    /// Publishes `record` as the artifact's next version.
    ///
    /// - Parameter again: publish also if the newest version has the same content, because something else about it
    ///   changed.
    /// - Returns: the newest version if it has the same content, else the new one, with its number.
    package func publish(
        _ artifact: ArtifactName, _ record: VersionRecord, again: Bool = false
    ) async throws
        -> PublishOutcome
    {
        try await change(artifact) { history in
            if !again, let latest = history.latest, latest.content.digest == record.content.digest {
                return (nil, PublishOutcome(version: latest, isNew: false))
            }
            var record = record
            record.version = history.versions.count + 1
            return (.published(record), PublishOutcome(version: record, isNew: true))
        }
    }

    /// Points `alias` at a version, if `gate` allows; a refusal is recorded, too.
    ///
    /// - Parameter gate: asked again, with the new history, whenever someone else changed the artifact in between.
    /// - Returns: how it ended; a refusal is no error here.
    /// - Throws: kind `.notFound` if there is no such version, `.failed` if it was withdrawn.
    package func promote(
        _ reference: ArtifactReference, to alias: String, gate: GateCheck? = nil
    ) async throws
        -> PromotionOutcome
    {
        let alias = try checkedAlias(alias)
        let artifact = reference.artifact
        _ = try await existingHistory(of: artifact)
        return try await change(artifact) { history in
            let version = try history.resolve(reference.selector)
            let from = history.aliases[alias]
            let decision = try await gate?(version, history)
            var outcome = PromotionOutcome(alias: alias, version: version, from: from, gate: decision, isMoved: false)
            if let decision, !decision.passed {
                let refusal = RegistryEvent.Refusal(alias: alias, version: version.version, gate: decision.report)
                return (.refused(refusal), outcome)
            }
            if from == version.version { return (nil, outcome) }
            outcome.isMoved = true
            let promotion = RegistryEvent.Promotion(alias: alias, version: version.version, gate: decision?.report)
            return (.promoted(promotion), outcome)
        }
    }

    /// Records that a gate refused a version outside of a promotion.
    package func refuse(_ reference: ArtifactReference, alias: String? = nil, gate report: JSONValue) async throws {
        let alias = try alias.map(checkedAlias)
        _ = try await existingHistory(of: reference.artifact)
        try await change(reference.artifact) { history in
            let version = try history.resolve(reference.selector).version
            return (.refused(RegistryEvent.Refusal(alias: alias, version: version, gate: report)), ())
        }
    }

    /// Points `alias` back at the version that it named before the present one, or at `version`, one of those it named.
    ///
    /// Withdrawn versions are passed over. Rolling back twice goes two versions back.
    ///
    /// - Throws: kind `.notFound` if there is no such alias or nothing to go back to.
    package func rollback(
        _ artifact: ArtifactName, alias: String, to version: Int? = nil, reason: String? = nil
    )
        async throws -> RollbackOutcome
    {
        _ = try await existingHistory(of: artifact)
        return try await change(artifact) { history in
            let current = try history.resolve(.alias(alias)).version
            let past = history.past(of: alias).filter { $0 != current && history.withdrawn[$0] == nil }
            guard let target = version == nil ? past.last : past.last(where: { $0 == version }),
                let record = history.version(target)
            else {
                let wanted = version.map { "never named v\($0) before" } ?? "named no other version before"
                throw MLOpsError(
                    .notFound, "`\(artifact)@\(alias)` is v\(current) and \(wanted)",
                    hint: "run `mlops registry promote` to point it at another version")
            }
            let rollback = RegistryEvent.Rollback(alias: alias, from: current, to: target, reason: reason)
            return (.rolledBack(rollback), RollbackOutcome(alias: alias, from: current, version: record))
        }
    }

    /// Declares a version unfit for use; `@latest` passes it over from then on. Fine if it was withdrawn before.
    ///
    /// - Throws: kind `.refused` if an alias names it or another version was made from it.
    package func withdraw(_ artifact: ArtifactName, version number: Int, reason: String) async throws {
        _ = try await existingHistory(of: artifact)
        let lineage = try await lineage()
        try await change(artifact) { history in
            if history.withdrawn[number] != nil { return (nil, ()) }
            let record = try history.resolve(.version(number))
            if let alias = history.aliases(of: number).first {
                throw MLOpsError(
                    .refused, "version `\(artifact)@v\(number)` cannot be withdrawn: `@\(alias)` names it",
                    hint: "move the alias first: `mlops registry promote \(artifact)@v<other> \(alias)`")
            }
            if let child = lineage.children(of: LineageNode(artifact, record)).first {
                throw MLOpsError(
                    .refused, "version `\(artifact)@v\(number)` cannot be withdrawn: `\(child)` was made from it",
                    hint: "withdraw `\(child)` first")
            }
            return (.withdrawn(RegistryEvent.Withdrawal(version: number, reason: reason)), ())
        }
    }
}
