internal import Basics

/// A file with one array or several, told by its first bytes: IDX, NPY (both plain or gzip), NPZ, safetensors.
package enum ArrayFile {
    /// The array at `path`, or at `file#name` where the file holds several: `train.npz#images`.
    ///
    /// - Throws: kind `.usage` for another format, or if a name is missing or too many; what the formats' readers throw.
    package static func read(_ path: String) throws -> RawArray {
        let (file, name) = split(path)
        switch try format(of: file) {
        case .npz:
            let archive = try ZipArchive(path: file)
            return try archive.array(try only(name, of: archive.arrayNames, in: file))
        case .safetensors:
            let tensors = try SafetensorsFile(path: file)
            return try tensors.array(try only(name, of: tensors.names, in: file))
        case .npy: return try single(name, file) { try NPYReader.read(file) }
        case .idx: return try single(name, file) { try IDXReader.read(file) }
        }
    }

    /// The file of a path that may name an array in it.
    package static func file(of path: String) -> String { split(path).file }

    private enum Kind { case idx, npy, npz, safetensors }

    private static func split(_ path: String) -> (file: String, name: String?) {
        guard let mark = path.firstIndex(of: "#") else { return (path, nil) }
        return (String(path[..<mark]), String(path[path.index(after: mark)...]))
    }

    private static func format(of path: String) throws -> Kind {
        let stream = try ByteStream(path: path)
        var start = [UInt8](repeating: 0, count: 9)
        let count = try start.withUnsafeMutableBytes { try stream.read(into: $0) }
        let found = start[..<count]
        if found.starts(with: NPYReader.magic) { return .npy }
        if found.starts(with: [0x50, 0x4B, 0x03, 0x04]) || found.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
            return .npz
        }
        if count == 9, found[8] == UInt8(ascii: "{"), found[5...7].allSatisfy({ $0 == 0 }) { return .safetensors }
        if count >= 4, found[0] == 0, found[1] == 0 { return .idx }
        throw MLOpsError(
            .usage, "`\(path)` is no file of arrays: it starts with `\(hexadecimal(found))`",
            hint: "expected IDX, NPY, NPZ or safetensors")
    }

    private static func only(_ name: String?, of names: [String], in file: String) throws -> String {
        if let name { return name }
        guard names.count == 1 else {
            throw MLOpsError(
                .usage, "`\(file)` holds \(Format.count(names.count, "array")), and none is chosen",
                hint: "name one, as in `\(file)#\(names.first.map(printable) ?? "images")`"
                    + (names.count > 1 ? "; it has \(names.prefix(20).map(printable).joined(separator: ", "))" : ""))
        }
        return names[0]
    }

    private static func single(_ name: String?, _ file: String, _ read: () throws -> RawArray) throws -> RawArray {
        if let name {
            throw MLOpsError(
                .usage, "`\(file)` holds one array without a name, not `\(printable(name))`", hint: "leave out the `#`")
        }
        return try read()
    }
}
