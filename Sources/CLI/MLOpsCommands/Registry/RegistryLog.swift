internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct RegistryLog: Verb {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show the history of an artifact: published, promoted, refused, rolled back",
        discussion: """
            Example:
              mlops registry log models/census
            """)

    @Argument(help: ArgumentHelp("An artifact.", valueName: "kind/name"))
    var artifact: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let history = try await workspace.registry.existingHistory(of: try ArtifactName(artifact))
        try console.report(EventListing(artifact: history.artifact, events: history.events.map(\.event)))
    }
}

struct EventListing: Encodable, TextRenderable {
    var artifact: ArtifactName
    var events: [RegistryEvent]

    func text(_ style: TextStyle) -> String {
        var table = Table([
            .init("#", .right), .init("time"), .init("event"), .init("version"), .init("what"), .init("by"),
        ])
        for event in events.reversed() {
            let (word, tone, version, what) = event.body.words
            table.add(
                .init("\(event.number)"), .init(String(event.time.description.prefix(19)).replacing("T", with: " ")),
                .init(word, tone), .init(version), .init(what), .init(event.actor))
        }
        return table.text(style)
    }

    var essence: String { events.map { "\($0.number)" }.joined(separator: "\n") }
}

extension RegistryEvent.Body {
    fileprivate var words: (word: String, tone: TextStyle.Tone, version: String, what: String) {
        switch self {
        case .published(let record):
            ("published", .plain, "v\(record.version)", record.message ?? record.content.digest.short)
        case .promoted(let promotion):
            ("promoted", .good, "v\(promotion.version)", "to \(promotion.alias)")
        case .refused(let refusal):
            (
                "refused", .bad, "v\(refusal.version)",
                (refusal.alias.map { "for \($0)" } ?? "")
                    + (refusal.gate["failures"]?.array?.first?.string.map { ": \($0)" } ?? "")
            )
        case .rolledBack(let rollback):
            ("rolled back", .caution, "v\(rollback.to)", "\(rollback.alias), from v\(rollback.from)")
        case .withdrawn(let withdrawal):
            ("withdrawn", .bad, "v\(withdrawal.version)", withdrawal.reason)
        }
    }
}
