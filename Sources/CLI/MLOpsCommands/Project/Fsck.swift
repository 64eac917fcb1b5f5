internal import ArgumentParser
internal import Basics
internal import ContentStorage
internal import Remotes
package import TerminalOutput
internal import Workspaces

struct Fsck: Verb {
    static let configuration = CommandConfiguration(
        commandName: "fsck", abstract: "Read every byte of the store and say what is damaged",
        discussion: """
            Ends with 12 if anything is damaged or missing, naming the artifacts that it hurts. With --heal, what is
            sound in damaged packs is kept, and what is broken or missing comes back from unchanged files of the
            workspace and from the remotes. With --remote the remote is looked at instead: its index, the packs, the
            events, and the content of every version. With both, each side gets from the other what it lacks.

            Examples:
              mlops fsck
              mlops fsck --heal
              mlops fsck --remote origin --read-data
              mlops fsck --rebuild-index
            """)

    /// Stands for the default remote.
    private static let defaultRemote = ""

    @Flag(name: .long, help: "First make the index anew from the packs.")
    var rebuildIndex = false

    @Flag(name: .long, help: "Mend what is damaged or missing.")
    var heal = false

    @Option(
        name: .long, defaultAsFlag: Fsck.defaultRemote,
        help: ArgumentHelp("Look at a remote; the default one by default.", valueName: "name"))
    var remote: String?

    @Flag(name: .long, help: "With --remote, fetch every pack and check every byte.")
    var readData = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if readData, remote == nil { throw ValidationError("--read-data goes with --remote") }
    }

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        if rebuildIndex {
            let report = try await workspace.store.rebuildIndex()
            console.note(
                "rebuilt the index: \(Format.count(report.objectCount, "object")) in \(Format.count(report.packCount, "pack"))"
            )
        }
        let name = remote == Fsck.defaultRemote ? nil : remote
        switch (heal, remote != nil) {
        case (false, false): try await look(workspace, console)
        case (true, false):
            let healing = try await mend(workspace, nil, console)
            try console.report(healing)
            try Fsck.check(healing)
        case (false, true):
            let report = try await lookAtRemote(name, workspace, console)
            try console.report(report)
            try Fsck.check(report)
        case (true, true):
            let healing = try await mend(workspace, name, console)
            try await mendRemote(name, workspace, console)
            let report = try await lookAtRemote(name, workspace, console)
            try console.report(BothSides(here: healing, remote: report))
            try Fsck.check(healing)
            try Fsck.check(report)
        }
    }

    private func look(_ workspace: Workspace, _ console: Console) async throws {
        let report = try await console.withByteProgress("reading the store") {
            try await workspace.verify(progress: $0)
        }
        try console.report(report)
        if report.repairedIndex { console.note("the index did not agree with the packs and was made anew") }
        guard report.isClean else {
            throw Fsck.damage(
                report.damages.count, in: "the store", hurt: report.hurtRoots,
                hint: "run `mlops fsck --heal`: it keeps what is sound and fetches the rest from a remote")
        }
    }

    private func mend(_ workspace: Workspace, _ remote: String?, _ console: Console) async throws -> HealingReport {
        try await console.withByteProgress("reading the store") {
            try await workspace.heal(remoteName: remote, progress: $0)
        }
    }

    private static func check(_ healing: HealingReport) throws {
        guard healing.unhealed.isEmpty else {
            throw MLOpsError(
                .damaged, "\(Format.count(healing.unhealed.count, "thing")) could not be mended",
                hint: "add the remote or find the machine that has the data, and run `mlops push` there")
        }
    }

    private func mendRemote(_ name: String?, _ workspace: Workspace, _ console: Console) async throws {
        let healing = try await workspace.healRemote(name, readsData: readData)
        if !healing.isNothing {
            console.note(
                "sent \(Format.count(healing.resentPackCount, "pack")) again, replaced "
                    + "\(healing.replacedPackCount), and \(Format.count(healing.replacedIndexCount, "index file"))")
        }
        for problem in healing.unhealed { console.warning("not here, so not mended: \(problem)") }
    }

    private func lookAtRemote(
        _ name: String?, _ workspace: Workspace, _ console: Console
    ) async throws -> RemoteVerification {
        try await console.withByteProgress("reading the remote") {
            try await workspace.verifyRemote(name, readsData: readData, progress: $0)
        }
    }

    private static func check(_ report: RemoteVerification) throws {
        guard report.isClean else {
            throw damage(
                report.damages.count, in: "the remote", hurt: report.hurtRoots,
                hint: "run `mlops fsck --remote --heal` where the data is whole")
        }
        guard report.unsent.isEmpty else {
            throw MLOpsError(
                .failed, "\(Format.count(report.unsent.count, "artifact")) of this commit was never sent",
                hint: "run `mlops push`")
        }
    }

    private static func damage(_ count: Int, in place: String, hurt: [String], hint: String) -> MLOpsError {
        let names =
            hurt.isEmpty
            ? "no known commit or version needs it" : "it hurts \(hurt.map { "`\($0)`" }.joined(separator: ", "))"
        return MLOpsError(.damaged, "\(Format.count(count, "fault")) in \(place): \(names)", hint: hint)
    }
}

extension [VerificationReport.Damage] {
    /// What is to be said once for all objects of which it is true: a file that was left in place may have thousands.
    fileprivate func lines(_ style: TextStyle) -> [String] {
        var order: [VerificationReport.Damage] = []
        var objects: [VerificationReport.Damage: [String]] = [:]
        for damage in self {
            var said = damage
            said.object = nil
            if objects[said] == nil { order.append(said) }
            objects[said, default: []] += [damage.object].compactMap(\.self)
        }
        return order.flatMap { $0.lines(style, objects: objects[$0] ?? []) }
    }
}

extension VerificationReport.Damage {
    fileprivate func lines(_ style: TextStyle, objects: [String]) -> [String] {
        let others = objects.count > 1 ? " and \(objects.count - 1) more" : ""
        let place = [pack.map { "pack \($0)" }, objects.first.map { $0 + others }].compactMap(\.self)
            .joined(separator: ", ")
        return ["\(style("damaged", .bad))  \(place.isEmpty ? "" : place + ": ")\(problem)"]
            + hurts.map { "    hurts \($0)" } + files.prefix(5).map { "      \($0)" }
    }
}

extension VerificationReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        let size = """
            \(Format.count(packCount, "pack")), \(Format.count(objectCount, "object")), \(Format.bytes(byteCount)) read
            """
        if isClean { return "\(style("clean", .good)): \(size)" }
        return (damages.lines(style) + [size]).joined(separator: "\n")
    }

    package var essence: String { hurtRoots.joined(separator: "\n") }
}

extension RemoteVerification: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        var size =
            "\(Format.count(packCount, "pack")), \(Format.count(objectCount, "object")), \(Format.bytes(byteCount))"
            + (readsData ? " read" : "")
        if orphanPackCount > 0 { size += "; \(Format.count(orphanPackCount, "pack")) of interrupted pushes" }
        let lines = damages.lines(style) + unsent.map { "\(style("not sent", .caution))  \($0)" }
        return (lines + ["\(isClean ? style("clean", .good) + ": " : "")\(size)"]).joined(separator: "\n")
    }

    package var essence: String { (hurtRoots + unsent).joined(separator: "\n") }
}

extension HealingReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        if found.isClean { return found.text(style) }
        var lines = found.damages.lines(style)
        lines += setAside.map { "set aside  \($0)" }
        lines += healed.map { "\(style("healed", .good))  \($0)" }
        if !sources.isEmpty { lines.append("    from \(Set(sources).sorted().joined(separator: ", "))") }
        lines += obstacles.map { "    \($0)" }
        lines += unhealed.map { "\(style("not healed", .bad))  \($0)" }
        return lines.joined(separator: "\n")
    }

    package var essence: String { unhealed.joined(separator: "\n") }
}

/// What was mended here, and what a remote looks like after it was mended from here.
struct BothSides: Encodable, TextRenderable {
    var here: HealingReport
    var remote: RemoteVerification

    func text(_ style: TextStyle) -> String { "here:\n\(here.text(style))\n\(remote.location):\n\(remote.text(style))" }

    var essence: String { [here.essence, remote.essence].filter { !$0.isEmpty }.joined(separator: "\n") }
}
