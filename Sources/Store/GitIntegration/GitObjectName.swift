internal import Basics
internal import CLibgit2

/// The id of a git object, small and quick to compare.
struct GitObjectName: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt32)

    init(_ id: git_oid) {
        words = withUnsafeBytes(of: id.id) { raw in
            (
                raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 16, as: UInt32.self)
            )
        }
    }

    /// From 40 hex digits; nil for anything else, and for the id of zeros, which stands for nothing.
    init?(hex: some StringProtocol) {
        guard hex.utf8.count == 40, hex.utf8.allSatisfy({ $0.isHexDigit }) else { return nil }
        var id = git_oid()
        guard git_oid_fromstr(&id, String(hex)) == 0, git_oid_is_zero(&id) == 0 else { return nil }
        self.init(id)
    }

    var oid: git_oid {
        var id = git_oid()
        withUnsafeMutableBytes(of: &id.id) { raw in
            raw.storeBytes(of: words.0, as: UInt64.self)
            raw.storeBytes(of: words.1, toByteOffset: 8, as: UInt64.self)
            raw.storeBytes(of: words.2, toByteOffset: 16, as: UInt32.self)
        }
        return id
    }

    var hex: String {
        var id = oid
        return LibGit2.hex(&id)
    }

    static func == (left: GitObjectName, right: GitObjectName) -> Bool { left.words == right.words }

    func hash(into hasher: inout Hasher) {
        // The bytes are a hash already.
        hasher.combine(words.0)
    }
}

extension Set<GitObjectName> {
    /// The commits whose parents a shallow clone leaves out; none of a clone with all its history.
    ///
    /// - Parameter folder: the one that all work trees share.
    static func shallowBoundary(in folder: String) -> Set<GitObjectName> {
        let lines = (try? FileSystem.readText(FileSystem.join(folder, "shallow"))) ?? ""
        return Set(lines.split(separator: "\n").compactMap { GitObjectName(hex: $0) })
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }
}
