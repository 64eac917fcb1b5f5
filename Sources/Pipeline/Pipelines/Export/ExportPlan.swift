internal import Basics

/// The system that an exported pipeline runs on.
package enum ExportTarget: String, Sendable, CaseIterable { case kubernetes, argo, github, gitlab }

/// What a manifest says besides what the pipeline does.
package struct ExportOptions: Sendable {
    /// For stages without an `image` of their own.
    package var image: String?
    /// Where the containers clone the project from; for GitHub and GitLab their runners do that.
    package var repository: String?
    /// The commit that they check out.
    package var commit: String?
    /// The Secret that holds the stages' secrets and the remote's credentials.
    package var secret = "mlops"
    package var namespace: String?
    /// The claim of the volume that a folder remote lies on.
    package var volumeClaim: String?
    /// Names this run where stages hand over their results; the same for all of its stages.
    package var exchange = ""
    /// `--set` of the commands.
    package var overrides: [String] = []
    /// The image with a shell and `kubectl` that starts the Jobs in their order.
    package var kubectlImage = "alpine/k8s:1.31.0"
    package var gitImage = "alpine/git:2.45.2"
    /// The runners of GitHub.
    package var runner = "ubuntu-latest"

    package init() {}
}

/// Where stages in containers hand over their results.
package enum ExportRemote: Sendable, Hashable {
    /// Its environment variables hold the credentials.
    case s3
    /// A folder, absolute.
    case folder(String)

    /// The variables that are taken from the Secret, where it has them.
    var credentials: [String] {
        self == .s3 ? ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] : []
    }
}

/// A pipeline as every kind of manifest sees it.
struct ExportPlan: Sendable {
    struct Item: Sendable {
        var stage: Stage
        /// Unique among the stages: lower case, digits and `-`, at most 40 characters.
        var label: String
        /// The labels of the stages that it waits for directly.
        var needs: [String]
        /// How many stages lie on the longest way to it.
        var depth: Int
        var image: String
    }

    var pipeline: Pipeline
    var options: ExportOptions
    var remote: ExportRemote
    /// In an order in which they can run.
    var items: [Item]
    /// What a manifest cannot say, one line each.
    var notes: [String]

    /// - Throws: kind `.usage` if a stage has no image, or nothing is left to export.
    init(_ pipeline: Pipeline, remote: ExportRemote, options: ExportOptions) throws {
        self.pipeline = pipeline
        self.options = options
        self.remote = remote
        items = []
        notes = []
        var labels: [Int: String] = [:]
        var depths: [Int: Int] = [:]
        for index in pipeline.graph.order {
            let stage = pipeline.stages[index]
            guard !stage.isFrozen, stage.condition?.holds ?? true else {
                let why = stage.isFrozen ? "it is frozen" : stage.condition?.explanation ?? ""
                notes.append("stage `\(stage.name)` is left out: \(why)")
                continue
            }
            guard let image = stage.image ?? options.image else {
                throw MLOpsError(
                    .usage, "stage `\(stage.name)` has no container image",
                    hint: "add `image:` to it, or name one for all stages with `--image`", at: stage.location)
            }
            let upstream = pipeline.graph.upstream[index].filter { labels[$0] != nil }
            if upstream.count < pipeline.graph.upstream[index].count, !stage.isAlways,
                pipeline.graph.upstream[index].contains(where: { !(pipeline.stages[$0].condition?.holds ?? true) })
            {
                notes.append("stage `\(stage.name)` is left out: it waits for one that is left out")
                continue
            }
            let label = ExportPlan.label(stage.name, taken: Set(labels.values))
            labels[index] = label
            depths[index] = (upstream.compactMap { depths[$0] }.max() ?? 0) + 1
            items.append(
                Item(
                    stage: stage, label: label, needs: upstream.compactMap { labels[$0] }, depth: depths[index] ?? 1,
                    image: image))
            if !stage.resources.custom.isEmpty {
                let names = stage.resources.custom.keys.sorted().map { "`\($0)`" }.joined(separator: ", ")
                notes.append("stage `\(stage.name)` needs \(names), which the manifest cannot say")
            }
        }
        if items.isEmpty { throw MLOpsError(.usage, "no stage of `\(pipeline.name)` is left to export") }
    }

    /// The command of a stage's container: it brings what the stages before handed over, runs this one, and hands over its own.
    func command(_ item: Item, exchange: String) -> [String] {
        ["mlops", "pipeline", "run", pipeline.file, "--only", item.stage.name, "--exchange", exchange]
            + options.overrides.flatMap { ["--set", $0] }
    }

    /// Variables with the values that they have here; a stage's own secrets are not among them.
    func environment(_ item: Item) -> [(name: String, value: String)] {
        let secrets = Set(item.stage.secrets.map(\.name))
        return item.stage.environment.compactMap { variable in
            guard !secrets.contains(variable.name) else { return nil }
            return variable.value.map { (variable.name, $0) }
        }
    }

    /// The longest that all attempts of a stage may take, with the pauses between them and ten minutes for its data.
    func deadline(_ item: Item) -> Duration? {
        guard let timeout = item.stage.timeout else { return nil }
        let retries = item.stage.retries
        var seconds = timeout.seconds * Double(retries.max + 1) + 600
        if retries.max > 0 { seconds += (1...retries.max).reduce(0) { $0 + retries.wait(before: $1).seconds } }
        return .seconds(seconds.rounded(.up))
    }

    static func label(_ name: String, taken: Set<String>) -> String {
        var text = ""
        for scalar in name.lowercased().unicodeScalars {
            let isFine = ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
            if isFine { text.unicodeScalars.append(scalar) } else if !text.hasSuffix("-") { text += "-" }
        }
        text = String(text.prefix(40))
        while text.hasSuffix("-") { text.removeLast() }
        if text.first.map({ ("a"..."z").contains($0) }) != true { text = "stage-" + text }
        guard taken.contains(text) else { return text }
        // Names that differ in signs alone are told apart by a piece of their digest.
        return "\(text.prefix(31))-\(Digest.of(Array(name.utf8)).hex.prefix(8))"
    }
}

extension Pipeline {
    /// The pipeline as a manifest for another system, and what the manifest cannot say.
    package func manifest(
        for target: ExportTarget, remote: ExportRemote, options: ExportOptions
    ) throws -> (text: String, notes: [String]) {
        let plan = try ExportPlan(self, remote: remote, options: options)
        let manifest =
            switch target {
            case .kubernetes: try KubernetesExport(plan: plan).manifest()
            case .argo: try ArgoExport(plan: plan).manifest()
            case .github: try GitHubExport(plan: plan).manifest()
            case .gitlab: try GitLabExport(plan: plan).manifest()
            }
        // Whoever writes a manifest need not have the secrets; a value that is known here must not be in it.
        guard try !SecretValues(of: self).masker.finds(in: Array(manifest.text.utf8)) else {
            throw MLOpsError(
                .usage, "the manifest would hold the value of a secret",
                hint: "take it out of parameters, `--set`, commands and variables; name it in `secrets` alone")
        }
        return manifest
    }
}
