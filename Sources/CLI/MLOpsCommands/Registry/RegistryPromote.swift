internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import Gates
package import TerminalOutput
internal import Workspaces

struct RegistryPromote: Verb {
    static let configuration = CommandConfiguration(
        commandName: "promote", abstract: "Point an alias at a version, if what was recorded of it passes",
        discussion: """
            The gates that the version went through when it was published count in any case; --min and --max add rules over
            its recorded metrics. A refusal ends with 4 and is recorded.

            Examples:
              mlops registry promote models/census@v2 production
              mlops registry promote models/census@staging production --min test.accuracy=0.85
            """)

    @Argument(help: ArgumentHelp("A version.", valueName: "kind/name@version"))
    var reference: String

    @Argument(help: "The alias, such as production.")
    var alias: String

    @Option(help: ArgumentHelp("A floor; may be given several times.", valueName: "metric=value"))
    var min: [MetricLimit] = []

    @Option(help: ArgumentHelp("A ceiling; may be given several times.", valueName: "metric=value"))
    var max: [MetricLimit] = []

    @OptionGroup var remote: RemoteOption
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let rules =
            min.map { GateRule(metric: $0.metric, min: $0.value) }
            + max.map { GateRule(metric: $0.metric, max: $0.value) }
        let report = try await global.openWorkspace().promote(
            try ArtifactReference(reference), to: alias, rules: rules, remoteName: remote.remote)
        try console.report(report)
    }
}

/// `metric=value` on the command line.
struct MetricLimit: ExpressibleByArgument {
    var metric: String
    var value: Double

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let value = Double(parts[1]), value.isFinite else { return nil }
        metric = parts[0]
        self.value = value
    }
}

extension PromotionReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        let before = previous == version ? " (as before)" : previous.map { " (before: v\($0))" } ?? ""
        return "\(style("\(artifact)@\(alias)", .heading)) → v\(version)\(before)"
    }

    package var essence: String { "\(artifact)@v\(version)" }
}
