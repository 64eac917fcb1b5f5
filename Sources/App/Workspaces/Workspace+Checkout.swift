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
    /// - Parameter force: overwrite files whose content is nowhere in the store.
    /// - Throws: kind `.damaged` if content is missing from the store, with the command that fetches it.
    package func checkout(
        _ names: [ArtifactName] = [], force: Bool = false, progress: ProgressHandler? = nil
    ) async throws -> [CheckoutOutcome] {
        let pointers = try selected(names)
        // All or nothing as far as can be told before: nothing is touched while something is missing.
        for pointer in pointers where try !store.contains(pointer.content) {
            let hint =
                try remotes().isEmpty
                ? "add the remote that has it with `mlops remote add`, then run `mlops pull`"
                : "run `mlops pull \(pointer.artifact)` to fetch it"
            throw MLOpsError(.notFound, "the store has no content for `\(pointer.artifact)` at this commit", hint: hint)
        }
        var outcomes: [CheckoutOutcome] = []
        for pointer in pointers {
            let report = try await store.checkout(
                pointer.content, to: absolute(pointer.path), options: CheckoutOptions(force: force, progress: progress))
            outcomes.append(CheckoutOutcome(artifact: pointer.artifact, path: pointer.path, report: report))
        }
        return outcomes
    }
}
