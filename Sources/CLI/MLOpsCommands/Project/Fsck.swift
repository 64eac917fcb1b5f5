internal import ArgumentParser
internal import Basics
internal import ContentStorage
package import TerminalOutput
internal import Workspaces

struct Fsck: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Read every byte of the store and say what is damaged",
        discussion: """
            Ends with 12 if anything is damaged or missing, naming the artifacts that it hurts.

            Examples:
              mlops fsck
              mlops fsck --rebuild-index
            """)

    @Flag(name: .long, help: "First make the index anew from the packs.")
    var rebuildIndex = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        if rebuildIndex {
            let report = try await workspace.store.rebuildIndex()
            console.note(
                "rebuilt the index: \(Format.count(report.objectCount, "object")) in \(Format.count(report.packCount, "pack"))"
            )
        }
        let report = try await console.withByteProgress("reading the store") {
            try await workspace.verify(progress: $0)
        }
        try console.report(report)
        guard report.isClean else {
            let hurt = report.hurtRoots
            let names =
                hurt.isEmpty
                ? "no known commit or version needs it" : "it hurts \(hurt.map { "`\($0)`" }.joined(separator: ", "))"
            throw MLOpsError(
                .damaged, "\(Format.count(report.damages.count, "fault")) in the store: \(names)",
                hint: hurt.isEmpty
                    ? "other branches and stashes may still need it: keep the pack until a remote has their data"
                    : "move the packs that are named above away, then run `mlops pull` to fetch their content from a remote"
            )
        }
    }
}

extension VerificationReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        let size = """
            \(Format.count(packCount, "pack")), \(Format.count(objectCount, "object")), \(Format.bytes(byteCount)) read
            """
        if isClean { return "\(style("clean", .good)): \(size)" }
        let lines = damages.flatMap { damage -> [String] in
            let place = [damage.pack.map { "pack \($0)" }, damage.object].compactMap(\.self).joined(separator: ", ")
            return ["\(style("damaged", .bad))  \(place.isEmpty ? "" : place + ": ")\(damage.problem)"]
                + damage.hurts.map { "    hurts \($0)" } + damage.files.prefix(5).map { "      \($0)" }
        }
        return (lines + [size]).joined(separator: "\n")
    }

    package var essence: String { hurtRoots.joined(separator: "\n") }
}
