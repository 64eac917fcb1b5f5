internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Pipelines
internal import Remotes

/// Where stages that each run on a machine of their own hand over what they made: below `exchange/` on a remote.
///
/// The content goes first, then its record, as everywhere: a record that is there names only what is there.
struct StageExchange: Sendable {
    let workspace: Workspace
    let remote: any Remote
    let transferOptions: TransferOptions
    /// The same for all stages of one run.
    let token: String
    let pipeline: String

    /// - Throws: kind `.usage` for a token that is no name.
    init(
        _ workspace: Workspace, remote: any Remote, token: String, pipeline: String, transferOptions: TransferOptions
    ) throws {
        let isName =
            !token.isEmpty && token.count <= 100 && token.first != "."
            && token.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
        guard isName else {
            throw MLOpsError(
                .usage, "the exchange `\(printable(token))` is not a name",
                hint: "use letters, digits, `-`, `_` and `.`, such as the number of the CI run")
        }
        self.workspace = workspace
        self.remote = remote
        self.transferOptions = transferOptions
        self.token = token
        self.pipeline = pipeline
    }

    private func key(_ stage: String) -> String { "exchange/\(token)/\(pipeline)/\(stage).json" }

    /// What a stage handed over; nil if it has not.
    private func handover(of stage: String) async throws -> StageHandover? {
        let key = key(stage)
        guard try await remote.size(of: key) != nil else { return nil }
        let json = try JSONValue(parsing: try await remote.get(key), source: key)
        guard let handover = StageHandover(json), handover.stage == stage else {
            throw MLOpsError(
                .damaged, "`\(key)` on \(remote.location) is not what a stage handed over",
                hint: "run the stage `\(stage)` again")
        }
        return handover
    }

    /// Brings what the stages before `stage` handed over: their outputs that it reads into the workspace, and what they
    /// measured.
    ///
    /// - Throws: kind `.failed` if one that it waits for has handed over nothing.
    func receive(for stage: Stage, of loaded: Pipeline) async throws -> [String: StageHandover] {
        let index = loaded.stages.firstIndex { $0.name == stage.name } ?? 0
        let direct = Set(loaded.graph.upstream[index])
        var received: [String: StageHandover] = [:]
        for other in loaded.graph.ancestors(of: index).sorted() {
            let before = loaded.stages[other]
            guard let handover = try await handover(of: before.name) else {
                let isRequired =
                    direct.contains(other) && !stage.isAlways && !before.isFrozen && before.condition?.holds ?? true
                guard isRequired else { continue }
                throw MLOpsError(
                    .failed,
                    "stage `\(stage.name)` waits for `\(before.name)`, which has handed over nothing as `\(token)`",
                    hint: "run that stage first: `mlops pipeline run \(loaded.file) --only \(before.name) "
                        + "--exchange \(token)`")
            }
            received[before.name] = handover
            try restorePointers(handover)
        }
        try await restore(received.values.flatMap(\.outs), readBy: stage)
        return received
    }

    private func restorePointers(_ handover: StageHandover) throws {
        for (name, text) in handover.pointers {
            let artifact = try ArtifactName(name)
            try workspace.save(try Pointer(artifact: artifact, text: text, file: key(handover.stage)))
        }
    }

    private func restore(_ outs: [StoredOutput], readBy stage: Stage) async throws {
        let needed = outs.filter { out in
            stage.deps.contains {
                FileSystem.contains(out.path, $0.path) || FileSystem.contains($0.path, out.path)
            }
        }
        let storage = StageStorage(workspace: workspace)
        var missing: [StoredOutput] = []
        for out in needed where try await !storage.isPresent(out, at: out.path) { missing.append(out) }
        guard !missing.isEmpty else { return }
        let transfer = Transfer(store: workspace.store, remote: remote, options: transferOptions)
        _ = try await transfer.pull(missing.map(ContentRoot.init))
        for out in missing { try await storage.restore(out, to: out.path) }
    }

    /// Sends what the stage made, then the record of it.
    ///
    /// - Parameter pointers: those that were there before it ran; what it changed is handed over with its outputs.
    func send(_ report: StageReport, changing pointers: [ArtifactName: String]) async throws {
        var handover = StageHandover(report)
        var roots = handover.outs.map(ContentRoot.init)
        for (artifact, text) in try self.pointers() where pointers[artifact] != text {
            handover.pointers[artifact.description] = text
            if let root = try workspace.pointer(of: artifact)?.content, try workspace.store.contains(root) {
                roots.append(root)
            }
        }
        if !roots.isEmpty {
            _ = try await Transfer(store: workspace.store, remote: remote, options: transferOptions).push(roots)
        }
        try await remote.put(handover.json.canonicalBytes, at: key(report.name))
    }

    /// The texts of all pointers.
    func pointers() throws -> [ArtifactName: String] {
        Dictionary(
            try workspace.pointers().map { ($0.artifact, $0.text) }, uniquingKeysWith: { $1 })
    }
}
