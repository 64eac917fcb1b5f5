internal import Basics
internal import CSystem
internal import Glibc

/// Content that stays in the workspace: `mlops add --in-place` records the chunks of files and copies none of them, for data
/// too large to be kept twice on one disk. Manifests, listings and links' targets lie in packs as always.
///
/// A chunk in place counts as here while its file has the size and time that it had; it is compared with its id at each
/// read. Such trees are never noted as complete, since a file can change behind the store's back.
///
/// Whoever collects garbage must keep a record in `.mlops/store/inplace/` as long as a chunk in it is reachable and lies in no
/// pack, must count such chunks as present, and must never touch the files that records name.
extension ContentStore {
    /// The proven bytes of a chunk that lies in the workspace.
    func read(_ key: ObjectKey, inPlace place: InPlaceLocation) throws -> [UInt8] {
        let path = index.absolute(place.file)
        let descriptor = mlops_open(path, O_RDONLY | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            guard errno == ENOENT || errno == ENOTDIR else { throw MLOpsError.system("open", path, errno: errno) }
            throw changed(place.file, "is gone")
        }
        let file = OpenFile(descriptor: descriptor, path: path)
        if let problem = problem(of: place.file, status: try file.status()) { throw changed(place.file, problem) }
        guard let bytes = try? file.read(count: place.length, at: place.offset), Digest.of(bytes) == key.id else {
            throw changed(place.file, "has other bytes now, though its size and time are the same")
        }
        return bytes
    }

    /// What has changed about a file, or nil.
    private func problem(of file: InPlaceFile, status: FileStatus?) -> String? {
        guard let status else { return "is gone" }
        guard status.kind == .file else { return "is no regular file any more" }
        if status.size != file.byteCount {
            return "has \(Format.bytes(status.size)) now, and had \(Format.bytes(file.byteCount))"
        }
        return file.matches(status) ? nil : "has been written since"
    }

    private func changed(_ file: InPlaceFile, _ problem: String) -> MLOpsError {
        MLOpsError(
            .damaged, "`\(file.path)`, whose content was added in place, \(problem)",
            hint: "run `mlops add --in-place` to record what it holds now, or move it away and run `mlops pull`")
    }

    /// Reads all chunks that lie in the workspace and in no pack; what is wrong with those that are not as they were.
    func verifyInPlace() throws -> [ObjectKey: String] {
        guard try index.hasInPlace() else { return [:] }
        var problems: [ObjectKey: String] = [:]
        for file in try index.filesInPlace() {
            let keys = file.chunks.map { ObjectKey(.chunk, $0.id) }
            let lost = problem(of: file, status: index.status(of: file))
            for ((key, chunk), location) in zip(zip(keys, file.chunks), try index.locate(keys)) where location == nil {
                if let lost {
                    problems[key] = "left in `\(file.path)`, which \(lost)"
                    continue
                }
                let place = InPlaceLocation(file: file, offset: chunk.offset, length: Int(chunk.length))
                do {
                    _ = try read(key, inPlace: place)
                } catch let error as MLOpsError {
                    problems[key] = "left in the workspace: \(error.message)"
                }
            }
        }
        return problems
    }
}
