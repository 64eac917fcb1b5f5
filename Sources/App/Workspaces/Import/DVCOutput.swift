internal import Basics
internal import Pipelines

/// One entry of `outs:` in a `.dvc` file or in `dvc.lock`.
struct DVCOutput {
    /// The file that lists it, from the project's root.
    var file: String
    var path: RelativePath
    /// 32 hex digits; of a folder the MD5 of its listing. Nil where the files are listed with it.
    var hash: String?
    var isFolder: Bool
    /// Written by DVC 1 or 2, whose MD5 of a text ignores CR.
    var ignoresLineEnds: Bool
    var isExecutable: Bool
    /// The files of a folder, where the entry lists them itself.
    var files: [DVCListing.File]?
    /// Where the data came from, if DVC imported them.
    var source: String?
    /// What has no place in a pointer.
    var notes: [String] = []
}

/// The files of a folder as DVC lists them.
struct DVCListing {
    struct File {
        var path: RelativePath
        var hash: String
        var isExecutable: Bool
    }

    private static let longest = 512 << 20

    var files: [File]

    /// - Throws: kind `.damaged` if the listing has another MD5 or is none, `.usage` for paths that lead out of the folder.
    init(readingFrom path: String, hash: String) throws {
        guard let status = try FileStatus.of(path), status.size <= DVCListing.longest else {
            throw MLOpsError(.failed, "the listing `\(path)` is too long")
        }
        let bytes = try FileSystem.read(path)
        let found = MD5Hasher.hex(of: bytes)
        guard found == hash else {
            throw MLOpsError(
                .damaged, "the listing `\(path)` has MD5 \(found), not the recorded \(hash)",
                hint: "fetch it again with `dvc fetch`")
        }
        guard let items = try JSONValue(parsing: bytes, source: path).array else {
            throw MLOpsError(.damaged, "the listing `\(path)` is no list")
        }
        files = try items.map { item in
            guard let name = item["relpath"]?.string, let hash = item["md5"]?.string else {
                throw MLOpsError(.damaged, "an entry of the listing `\(path)` has no `relpath` or no `md5`")
            }
            return File(
                path: try RelativePath(name), hash: try checkedHash(hash),
                isExecutable: item["isexec"]?.boolean ?? false)
        }
    }
}

/// `text`, if it is an MD5 in hex.
///
/// - Throws: kind `.usage`; a hash becomes a part of paths.
func checkedHash(_ text: String) throws -> String {
    guard text.utf8.count == 32, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { throw MLOpsError(.usage, "`\(printable(text))` is no MD5 in 32 hex digits") }
    return text
}
