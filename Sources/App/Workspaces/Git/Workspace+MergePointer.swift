internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import GitIntegration

/// The outcome of merging a pointer.
package struct PointerMerge: Sendable {
    /// What the file holds afterwards; with conflict markers where a person has to decide.
    package var text: String
    package var isClean: Bool
    /// Why it is not clean, as sentences without their ends.
    package var reasons: [String] = []
}

/// Merges the pointer at `path` (from the root of git's work tree): trees file by file, as far as the store knows them.
///
/// - Parameters:
///   - base, ours, theirs: the three texts; an empty base for a pointer that both sides added.
///   - workTree: the root of git's work tree, where git starts a merge driver.
package func mergePointer(
    base: String, ours: String, theirs: String, path: String, workTree: String, environment: HostEnvironment
) async throws -> PointerMerge {
    var folder = FileSystem.parent(of: FileSystem.absolute(path, from: workTree))
    while !FileSystem.isDirectory(folder) { folder = FileSystem.parent(of: folder) }
    let workspace = try? Workspace.open(at: folder, environment: environment)
    let ownPath = workspace.map { FileSystem.absolute(path, from: workTree).dropFirst($0.root.count + 1) }
    guard let workspace, let ownPath, let artifact = Workspace.artifact(ofPointerAt: String(ownPath)),
        let mine = try? Pointer(artifact: artifact, text: ours, file: path),
        let other = try? Pointer(artifact: artifact, text: theirs, file: path)
    else {
        // No pointer, or one that a person has broken: lines, as git itself merges them.
        let (text, hasConflicts) = try mergeLines(base: base, ours: ours, theirs: theirs)
        return PointerMerge(text: text, isClean: !hasConflicts)
    }
    let old = base.isEmpty ? nil : try? Pointer(artifact: artifact, text: base, file: path)
    var reasons: [String] = []
    let content = try await workspace.mergeContent(
        base: old?.content, ours: mine.content, theirs: other.content, reasons: &reasons)
    var merged = mine
    if mine.path == old?.path { merged.path = other.path }
    if mine.path != other.path, mine.path != old?.path, other.path != old?.path {
        reasons.append("it lies at `\(mine.path)` on our side and at `\(other.path)` on theirs")
    }
    if mine.source == old?.source { merged.source = other.source }
    if let content, reasons.isEmpty {
        merged.content = content
        return PointerMerge(text: merged.text, isClean: true)
    }
    let (lines, _) = try mergeLines(base: old?.text ?? "", ours: mine.text, theirs: other.text)
    let comments = reasons.map { "# merge conflict: \(printable($0))\n" }.joined()
    return PointerMerge(text: comments + lines, isClean: false, reasons: reasons)
}

extension Workspace {
    private static let namedConflicts = 20

    /// The content with both sides' changes; nil, and a reason, if a person has to decide.
    fileprivate func mergeContent(
        base: ContentRoot?, ours: ContentRoot, theirs: ContentRoot, reasons: inout [String]
    ) async throws -> ContentRoot? {
        if ours == theirs || theirs == base { return ours }
        if ours == base { return theirs }
        guard ours.kind == .tree, theirs.kind == .tree else {
            reasons.append("both sides changed the file")
            return nil
        }
        do {
            let merge = try await store.merge(base: base, ours: ours, theirs: theirs)
            if merge.conflicts.isEmpty { return merge.root }
            let names = merge.conflicts.prefix(Workspace.namedConflicts).map { "`\($0)`" }.joined(separator: ", ")
            let more = merge.conflicts.count - Workspace.namedConflicts
            reasons.append("both sides changed \(names)" + (more > 0 ? " and \(more) more" : ""))
        } catch let error as MLOpsError where error.kind == .damaged {
            reasons.append(
                "the store lacks the listing of a side, so the folders cannot be compared: `mlops pull` on that branch")
        }
        return nil
    }
}
