internal import ArtifactRegistry
internal import Basics

/// The files below `registry/` that are pointers, and those that would be if it were not for their names.
struct PointerFiles: Sendable {
    var named: [(artifact: ArtifactName, path: String)] = []
    /// From the project's root.
    var misnamed: [String] = []
}

extension Workspace {
    /// The files of the pointers below `folder`, sorted by their bytes within each folder.
    func pointerFiles(below folder: String) throws -> PointerFiles {
        var files = PointerFiles()
        func visit(_ folder: String) throws {
            for name in try FileSystem.list(absolute(folder)) {
                let path = FileSystem.join(folder, name)
                // A link could lead anywhere, or round.
                if try FileStatus.of(absolute(path))?.kind == .directory {
                    try visit(path)
                } else if let artifact = Workspace.artifact(ofPointerAt: path) {
                    files.named.append((artifact, path))
                } else if Workspace.isMisnamedPointer(path) {
                    files.misnamed.append(path)
                }
            }
        }
        if try FileStatus.of(absolute(folder))?.kind == .directory { try visit(folder) }
        return files
    }

    /// Whether `path` lies where pointers do and ends as one, but gives no artifact's name: `registry/datasets/F2.yaml`,
    /// `registry/datasets/bob.yml`. Hidden files, texts and what editors and merges leave are none.
    static func isMisnamedPointer(_ path: String) -> Bool {
        let parts = pathParts(path)
        guard parts.count > 2, parts[0] == "registry", !parts.contains(where: { $0.hasPrefix(".") }) else {
            return false
        }
        let name = path.lowercased()
        return (name.hasSuffix(".yaml") || name.hasSuffix(".yml")) && artifact(ofPointerAt: path) == nil
    }

    /// What is wrong with the name of a pointer, and a better one.
    static func misnamedPointer(_ path: String) -> MLOpsError {
        let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) ?? path.endIndex
        let name = path[..<dot].dropFirst("registry/".count)
        var fault = "does not end in `.yaml`, as pointers do"
        do { _ = try ArtifactName(String(name)) } catch { fault = "is no pointer: \(error)" }
        let better = (try? ArtifactName(name.lowercased())).map { "`\(Pointer.path(of: $0))`" }
        return MLOpsError(
            .usage, "`\(printable(path))` \(fault)",
            hint: "rename it to \(better ?? "the name of an artifact, such as `registry/datasets/census.yaml`"), "
                + "or move it elsewhere if it is no pointer")
    }

    // MARK: Overlaps

    /// The pointers of `names`, or all of them, for work on their files.
    ///
    /// - Throws: kind `.conflict` if the path of one is also that of another pointer, or lies inside or around it: making one
    ///   right would undo the other.
    func disjointPointers(_ names: [ArtifactName]) throws -> [Pointer] {
        let chosen = try selected(names)
        let all = names.isEmpty ? chosen : readablePointers().pointers
        try Workspace.refuseOverlaps(among: all, of: names.isEmpty ? nil : Set(names))
        return chosen
    }

    /// - Parameter names: nil for overlaps of any two.
    static func refuseOverlaps(among pointers: [Pointer], of names: Set<ArtifactName>? = nil) throws {
        guard let (outer, inner) = overlap(among: pointers, of: names) else { return }
        let places =
            outer.path == inner.path
            ? "both lie at `\(outer.path)`" : "overlap: `\(inner.path)` lies in `\(outer.path)`"
        throw MLOpsError(
            .conflict, "the pointers `\(outer.ownPath)` and `\(inner.ownPath)` \(places)",
            hint: "remove one of them, or change its `path:`, then run `mlops checkout`")
    }

    /// Two of `pointers`, at least one of them of `names`, of which one's path is that of the other or lies inside it.
    static func overlap(
        among pointers: [Pointer], of names: Set<ArtifactName>?
    ) -> (outer: Pointer, inner: Pointer)? {
        // What lies in a folder follows it.
        let sorted = pointers.sorted {
            ($0.path.description + "/").utf8.lexicographicallyPrecedes(($1.path.description + "/").utf8)
        }
        var around: [Pointer] = []
        for pointer in sorted {
            while let last = around.last, !FileSystem.contains(last.path.description, pointer.path.description) {
                around.removeLast()
            }
            let isWanted = names?.contains(pointer.artifact) ?? true
            if let outer = around.last(where: { isWanted || names?.contains($0.artifact) == true }) {
                return (outer, pointer)
            }
            around.append(pointer)
        }
        return nil
    }
}
