internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct RegistryShow: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a version: what it is, where it came from, what was measured",
        discussion: """
            Examples:
              mlops registry show models/census@production
              mlops registry show models/census@v1 --json
            """)

    @Argument(help: ArgumentHelp("A version; the latest by default.", valueName: "kind/name@version"))
    var reference: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let reference = try ArtifactReference(reference)
        let history = try await workspace.registry.existingHistory(of: reference.artifact)
        let record = try history.resolve(reference.selector)
        try console.report(
            VersionReport(
                artifact: reference.artifact, version: record, aliases: history.aliases(of: record.version)))
    }
}

struct VersionReport: Encodable, TextRenderable {
    var artifact: ArtifactName
    var version: VersionRecord
    var aliases: [String]

    func text(_ style: TextStyle) -> String {
        var facts = FactList()
        facts.add("version", .init("\(artifact)@v\(version.version)", .heading))
        if !aliases.isEmpty { facts.add("aliases", .init(aliases.joined(separator: ", "))) }
        facts.add("digest", .init(version.content.digest.description))
        facts.add(
            "size",
            .init("\(Format.bytes(version.content.byteCount)) in \(Format.count(version.content.fileCount, "file"))"))
        facts.add("path", .init(version.path))
        if let git = version.git, let commit = git.commit {
            let branch = git.branch.map { " on \($0)" } ?? ""
            facts.add("commit", .init(commit.prefix(12) + branch + (git.isDirty ? ", with uncommitted changes" : "")))
        }
        facts.add("run", ifKnown: version.run)
        facts.add("message", ifKnown: version.message)
        for parent in version.parents {
            facts.add("made from", .init("\(parent.artifact) \(parent.digest.short)"))
        }
        if let joules = version.energy?["joules"]?.number {
            facts.add("energy", .init("\(Format.number(joules)) J"))
        }
        for (name, gate) in (version.gates?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            let passed = gate["passed"]?.boolean == true
            facts.add("gate", .init("\(name) \(passed ? "passed" : "refused")", passed ? .good : .bad))
        }
        for (name, value) in headline { facts.add(name, .init(Format.number(value))) }
        return facts.text(style)
    }

    /// The measurements that people ask for first, by stage and name.
    private var headline: [(String, Double)] {
        let wanted = [
            "accuracy", "auc", "f1", "p95_ms", "equalized_odds_difference", "accuracy_drop", "size_ratio",
        ]
        return (version.metrics.object ?? [:]).filter { $0.key != "energy" }.sorted { $0.key < $1.key }
            .flatMap { stage, metrics in
                wanted.compactMap { name in metrics[name]?.number.map { ("\(stage).\(name)", $0) } }
            }
    }

    var essence: String { version.content.digest.description }
}
