package import Basics

/// Some paths below a root and what lies below them, or all of the root.
package struct PathSelection: Hashable, Sendable {
    /// How a path stands to the chosen ones.
    enum Relation { case inside, above, outside }

    /// Everything.
    package static let all = PathSelection([])

    /// Sorted; none of them inside another. Empty for everything.
    package let paths: [RelativePath]

    /// - Parameter paths: empty for everything.
    package init(_ paths: [RelativePath]) {
        var kept: [RelativePath] = []
        for path in Set(paths).sorted()
        where !kept.contains(where: { PathSelection.isAtOrBelow(path.description, $0.description) }) {
            kept.append(path)
        }
        self.paths = kept
    }

    package var isAll: Bool { paths.isEmpty }

    /// - Parameter path: below the root; empty for the root itself.
    func relation(to path: String) -> Relation {
        if paths.isEmpty { return .inside }
        if path.isEmpty { return .above }
        var isAbove = false
        for chosen in paths {
            if PathSelection.isAtOrBelow(path, chosen.description) { return .inside }
            if PathSelection.isAtOrBelow(chosen.description, path) { isAbove = true }
        }
        return isAbove ? .above : .outside
    }

    private static func isAtOrBelow(_ path: String, _ folder: String) -> Bool {
        guard path.utf8.starts(with: folder.utf8) else { return false }
        let next = path.utf8.dropFirst(folder.utf8.count).first
        return next == nil || next == UInt8(ascii: "/")
    }
}
