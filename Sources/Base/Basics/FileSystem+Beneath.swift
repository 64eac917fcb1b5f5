internal import CSystem
internal import Glibc

extension FileSystem {
    /// The folder `path` below `root`, opened without following a link; folders that are missing are made.
    ///
    /// - Throws: kind `.usage` if a part of the path is a link.
    package static func openFolder(_ path: String, below root: String) throws -> OpenFile {
        let descriptor = mlops_open(root, O_RDONLY | O_DIRECTORY, 0)
        if descriptor < 0 { throw MLOpsError.system("open", root, errno: errno) }
        var folder = OpenFile(descriptor: descriptor, path: root)
        for part in pathParts(path) where part != "." {
            let name = String(part)
            let display = join(folder.path, name)
            var next = mlops_open_beneath(folder.descriptor, name, O_RDONLY | O_DIRECTORY, 0)
            if next < 0, errno == ENOENT {
                try Failpoint.reach("directory.create")
                if mkdirat(folder.descriptor, name, 0o755) != 0, errno != EEXIST {
                    throw MLOpsError.system("create", display, errno: errno)
                }
                try folder.synchronize()
                next = mlops_open_beneath(folder.descriptor, name, O_RDONLY | O_DIRECTORY, 0)
            }
            if next < 0 {
                guard errno == ELOOP || errno == EXDEV || errno == ENOTDIR else {
                    throw MLOpsError.system("open", display, errno: errno)
                }
                throw MLOpsError(
                    .usage, "`\(printable(display))` is no folder, or a link that could lead elsewhere",
                    hint: "put a folder in its place")
            }
            folder = OpenFile(descriptor: next, path: display)
        }
        return folder
    }

    /// Replaces the file `path` below `root` as `replace` does, making the folders above it and following no link.
    package static func replace(
        _ path: String, below root: String, with bytes: [UInt8], mode: UInt32 = 0o644
    ) throws {
        let folder = try openFolder(parent(of: path), below: root)
        let place = "/proc/self/fd/\(folder.descriptor)"
        do {
            try replace(join(place, name(of: path)), with: bytes, mode: mode)
        } catch let error as MLOpsError {
            throw MLOpsError(
                error.kind, error.message.replacing(place, with: folder.path),
                hint: error.hint?.replacing(place, with: folder.path), at: error.location, cause: error.cause)
        }
    }
}
