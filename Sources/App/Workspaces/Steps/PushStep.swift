internal import ArtifactRegistry
package import Basics
internal import ContentStorage
package import Pipelines

/// `uses: push`: records a file or folder as an artifact, publishes it as a version with everything that was measured on
/// the way, and sends it to the project's remote, if it has one.
package struct PushStep: BuiltInStep {
    private let workspace: Workspace

    package init(workspace: Workspace) { self.workspace = workspace }

    package let name = "push"
    package let version = 1
    package let summary = "publish a version of an artifact, and send it to the remote"

    package let parameters = [
        StepParameter("artifact", .string, required: true, "name of the artifact, such as `models/census`"),
        StepParameter("path", .string, required: true, "the file or folder to publish"),
        StepParameter("alias", .string, "alias to point at the new version"),
        StepParameter("parents", .list, default: [], "artifacts that it was made from, such as `datasets/census`"),
        StepParameter("remote", .string, "a remote; the default one by default"),
    ]

    private struct Settings: Decodable {
        var artifact: ArtifactName
        var path: RelativePath
        var alias: String?
        var parents: [ArtifactName]
        var remote: String?
    }

    private struct Effects: Codable {
        var artifact: ArtifactName
        var version: Int
        var digest: Digest
        var alias: String?
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        return StepPlan(
            deps: [settings.path.description], artifacts: settings.parents.map(\.description), readsMetrics: true,
            readsEnergy: true, hasEffects: true)
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        _ = try await workspace.add(
            settings.path, as: settings.artifact, source: "pipeline \(context.pipeline), stage \(context.stage)")
        var details = PublicationDetails()
        details.run = context.runID
        details.message = "pipeline \(context.pipeline)"
        details.parents = try settings.parents.map { try parent(named: $0) }
        details.parameters = context.params
        details.metrics = context.metrics
        details.energy = context.metrics["energy"]
        details.gates = PushStep.gates(in: context.metrics)
        let outcome = try await workspace.publish(settings.artifact, details: details, remoteName: settings.remote)
        let place = outcome.remote.map { " and sent to \($0)" } ?? ""
        context.log(
            "\(outcome.isNew ? "published" : "already published:") \(outcome.artifact)@v\(outcome.version)\(place)")
        if let alias = settings.alias {
            _ = try await workspace.promote(
                try ArtifactReference("\(settings.artifact)@v\(outcome.version)"), to: alias, rules: [],
                remoteName: settings.remote)
            context.log("\(alias) → v\(outcome.version)")
        }
        try context.recordEffects(
            try JSONValue(
                encoding: Effects(
                    artifact: settings.artifact, version: outcome.version, digest: outcome.content.digest,
                    alias: settings.alias)))
        try context.writeMetrics(["version": .int(Int64(outcome.version))])
    }

    package func holds(_ effects: JSONValue) async throws -> Bool {
        let effects: Effects = try effects.decode()
        guard try workspace.pointer(of: effects.artifact)?.content.digest == effects.digest else { return false }
        let history = try await workspace.registry.history(of: effects.artifact)
        guard let version = history.version(effects.version), history.withdrawn[effects.version] == nil else {
            return false
        }
        return version.content.digest == effects.digest
            && (effects.alias.map { history.aliases[$0] == effects.version } ?? true)
    }

    private func parent(named name: ArtifactName) throws -> ArtifactParent {
        ArtifactParent(artifact: name, version: nil, digest: try workspace.requirePointer(of: name).content.digest)
    }

    /// The reports of the gates upstream, by stage.
    private static func gates(in metrics: JSONValue) -> JSONValue? {
        let gates = (metrics.object ?? [:]).filter { $0.value["verdicts"] != nil }
        return gates.isEmpty ? nil : .object(gates)
    }
}

/// `with` as a step's own settings.
///
/// - Throws: kind `.usage` that says which key cannot be read.
package func decodeSettings<Settings: Decodable>(_ with: JSONValue) throws -> Settings {
    do {
        return try with.decode()
    } catch let DecodingError.dataCorrupted(context) {
        let key = context.codingPath.map(\.stringValue).joined(separator: ".")
        throw MLOpsError(.usage, "`\(key)`: \(context.debugDescription)")
    } catch let DecodingError.keyNotFound(key, _) {
        throw MLOpsError(.usage, "`\(key.stringValue)` is missing")
    } catch let DecodingError.typeMismatch(_, context) {
        let key = context.codingPath.map { $0.intValue.map { "item \($0 + 1)" } ?? $0.stringValue }.joined(
            separator: ", ")
        throw MLOpsError(.usage, "`\(key)` has a value of another type than is expected there")
    }
}

extension StepContext {
    /// Writes `metrics` to each metrics file of the stage.
    package func writeMetrics(_ metrics: JSONValue) throws {
        for path in metricsPaths { try write(metrics.prettyText, to: path) }
    }

    /// Writes `text` to `path` of the project, making the folders above it.
    package func write(_ text: String, to path: String) throws {
        let absolute = FileSystem.absolute(path, from: root)
        try FileSystem.createDirectories(FileSystem.parent(of: absolute))
        try FileSystem.replace(absolute, with: Array(text.utf8))
    }
}
