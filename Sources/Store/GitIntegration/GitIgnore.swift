package import Basics
internal import Glibc

/// Makes git ignore `path` by a line in the `.gitignore` of the folder that holds it.
///
/// - Parameters:
///   - path: a file or folder, relative to `root`; its folder must exist.
///   - root: the absolute path of a folder inside a working tree.
/// - Returns: the path of the `.gitignore` that was changed, relative to `root`; nil if `path` was ignored already or
///   `root` is in no git repository.
package func ignore(path: RelativePath, in root: String) throws -> String? {
    let full = FileSystem.join(root, path.description)
    guard let repository = try GitRepository.discover(from: root) else { return nil }
    // Two processes that add a line at the same time must not lose one.
    let folder = try FileSystem.openFolder(FileSystem.parent(of: path.description), below: root)
    defer { withExtendedLifetime(folder) {} }
    try lock(folder)
    guard try !repository.isIgnored(full) else { return nil }
    let file = FileSystem.join(FileSystem.parent(of: path.description), ".gitignore")
    let fullFile = FileSystem.join(root, file)
    let status = try FileStatus.of(fullFile)
    guard status == nil || status?.kind == .file else {
        throw MLOpsError(
            .failed, "`\(file)` is no regular file, so `\(path)` cannot be added to it",
            hint: "replace it by a file: git does not follow links there either")
    }
    let old = status == nil ? [] : try FileSystem.read(fullFile)
    let new = appendingLine("/" + escapedPattern(path.lastPart), to: old)
    try FileSystem.replace(file, below: root, with: new, mode: status?.permissions ?? 0o644)
    return file
}

/// Takes an exclusive `flock` on `folder`, which closing it ends.
private func lock(_ folder: OpenFile) throws {
    while flock(folder.descriptor, LOCK_EX) != 0 {
        let failure = errno
        if failure == EINTR { continue }
        throw MLOpsError.system("lock", folder.path, errno: failure)
    }
}

/// `text` with `line` as its last line, in the line ends that it already has.
func appendingLine(_ line: String, to text: [UInt8]) -> [UInt8] {
    let newline = Array((text.contains(UInt8(ascii: "\r")) ? "\r\n" : "\n").utf8)
    let separator = text.isEmpty || text.last == UInt8(ascii: "\n") ? [] : newline
    return text + separator + Array(line.utf8) + newline
}

/// `name` as a pattern of `.gitignore` that matches just that name.
func escapedPattern(_ name: String) -> String {
    var pattern = ""
    for character in name {
        if "*?[\\".contains(character) { pattern.append("\\") }
        pattern.append(character)
    }
    // Spaces at the end are dropped unless escaped.
    let trailing = pattern.reversed().prefix { $0 == " " }.count
    return String(pattern.dropLast(trailing)) + String(repeating: "\\ ", count: trailing)
}
