package import ArtifactRegistry
package import Basics
package import ContentStorage

/// What `mlops checkout` did to one artifact.
package struct CheckoutOutcome: Encodable, Sendable {
    package var artifact: ArtifactName
    package var path: RelativePath
    package var report: CheckoutReport
}

extension Workspace {
    /// Restores the content that the pointers of `names` (or all) name; files that are right already are left alone.
    ///
    /// - Parameters:
    ///   - extent: parts of one artifact; the rest of it is left as it is, now and in later calls unless it is here. Where parts
    ///     become all of it, files with content that is stored nowhere are left as they are.
    ///   - force: overwrite files whose content is nowhere in the store.
    /// - Throws: kind `.damaged` if content is missing from the store, with the command that fetches it.
    package func checkout(
        _ names: [ArtifactName] = [], _ extent: CheckoutExtent = CheckoutExtent(), force: Bool = false,
        progress: ProgressHandler? = nil
    ) async throws -> [CheckoutOutcome] {
        try await checkout(try wantedParts(names, extent), extent, force: force, progress: progress)
    }

    /// - Parameter source: has what the store lacks of large files.
    func checkout(
        _ parts: [WantedParts], _ extent: CheckoutExtent, force: Bool, progress: ProgressHandler?,
        _ source: (any ChunkSource)? = nil, isInPlace: Bool = false
    ) async throws -> [CheckoutOutcome] {
        if source == nil { try await requireStored(parts) }
        try checkPaths(extent, of: parts)
        var outcomes: [CheckoutOutcome] = []
        for part in parts {
            let pointer = part.pointer
            let spares = part.becomesWhole && !force
            let selection = try await spares ? selectionSparingChanges(of: pointer) : part.selection
            var options = CheckoutOptions(force: force, progress: progress, selection: selection, source: source)
            options.isInPlace = isInPlace
            let report = try await store.checkout(pointer.content, to: absolute(pointer.path), options: options)
            outcomes.append(CheckoutOutcome(artifact: pointer.artifact, path: pointer.path, report: report))
        }
        try remember(parts)
        return outcomes
    }

    private func requireStored(_ parts: [WantedParts]) async throws {
        // All or nothing as far as can be told before: nothing is touched while something is missing.
        if try parts.contains(where: { try !isStored($0) }) {
            // The index may be wrong where it says that something is missing.
            try await store.rereadPacks()
        }
        for part in parts where try !isStored(part) {
            let pointer = part.pointer
            let hint =
                try remotes().isEmpty
                ? "add the remote that has it with `mlops remote add`, then run `mlops pull`"
                : "run `mlops pull \(pointer.artifact)` to fetch it"
            throw MLOpsError(.notFound, "the store has no content for `\(pointer.artifact)` at this commit", hint: hint)
        }
    }

    /// Whether all that is wanted is in the store.
    func isStored(_ part: WantedParts) throws -> Bool {
        part.selection.isAll
            ? try store.contains(part.pointer.content)
            : try store.missingContent(below: [part.pointer.content], part.selection).isEmpty
    }
}
