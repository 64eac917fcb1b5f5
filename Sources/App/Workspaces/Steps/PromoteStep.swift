internal import ArtifactRegistry
package import Basics
internal import Gates
package import Pipelines

/// `uses: promote`: points an alias at a published version, if what was recorded with that version passes the rules.
package struct PromoteStep: BuiltInStep {
    private let workspace: Workspace

    package init(workspace: Workspace) { self.workspace = workspace }

    package let name = "promote"
    package let version = 1
    package let summary = "point an alias at a published version"

    package let parameters = [
        StepParameter("artifact", .string, required: true, "name of the artifact, such as `models/census`"),
        StepParameter("from", .string, default: "latest", "the version: an alias, `v3`, or `latest`"),
        StepParameter("alias", .string, required: true, "alias to point at it, such as `production`"),
        StepParameter("rules", .list, default: [], "rules that the version's recorded metrics must meet"),
        StepParameter("remote", .string, "a remote; the default one by default"),
    ]

    private struct Settings: Decodable {
        var artifact: ArtifactName
        var from: String
        var alias: String
        var remote: String?

        var reference: ArtifactReference {
            get throws { try ArtifactReference("\(artifact)@\(from)") }
        }
    }

    private struct Effects: Codable {
        var artifact: ArtifactName
        var version: Int
        var alias: String
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        _ = try settings.reference
        _ = try PromoteStep.rules(in: with)
        let publishers = environment.stages.filter {
            $0.uses == "push" && $0.with["artifact"]?.string == settings.artifact.description
        }
        return StepPlan(
            needs: publishers.map(\.name), readsMetrics: true, hasEffects: true)
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let rules = try PromoteStep.rules(in: context.with)
        let outcome = try await workspace.promote(
            try settings.reference, to: settings.alias, rules: rules, remoteName: settings.remote)
        context.log("\(settings.artifact)@\(settings.alias) → v\(outcome.version)")
        try context.recordEffects(
            try JSONValue(
                encoding: Effects(artifact: settings.artifact, version: outcome.version, alias: settings.alias)))
        try context.writeMetrics(["version": .int(Int64(outcome.version))])
    }

    package func holds(_ effects: JSONValue) async throws -> Bool {
        let effects: Effects = try effects.decode()
        return try await workspace.registry.history(of: effects.artifact).aliases[effects.alias] == effects.version
    }

    /// No rules are fine here: the version's own gates count in any case.
    private static func rules(in with: JSONValue) throws -> [GateRule] {
        guard let rules = with["rules"], rules != [] else { return [] }
        return try GateRule.list(from: rules, at: "rules")
    }
}
