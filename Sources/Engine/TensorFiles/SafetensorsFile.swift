internal import Basics
package import Tensors

/// A safetensors file that is open for reading; tensors are read when they are asked for.
package final class SafetensorsFile: Sendable {
    package let path: String
    package let header: SafetensorsHeader
    private let file: OpenFile
    private let dataStart: Int

    /// As in the reference implementation: no honest header is larger.
    package static let maximumHeaderLength = 100_000_000

    /// Opens `path` and checks its whole header against the file's size.
    ///
    /// - Throws: kind `.damaged` naming the file and the byte counts if it is cut short or inconsistent; kind `.usage` if it
    ///   is no safetensors file or, unless `readsEveryType` is false, holds a dtype that is not read here.
    package init(path: String, readsEveryType: Bool = true) throws {
        self.path = path
        file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else { throw MLOpsError(.usage, "`\(path)` is not a regular file") }
        let size = Int(status.size)
        guard size >= 8 else {
            throw MLOpsError(
                .damaged, "`\(path)` has \(size) bytes, too few for a safetensors file",
                hint: "fetch or make the file again")
        }
        let length = try file.read(count: 8, at: 0).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(SafetensorsFile.maximumHeaderLength) else {
            throw MLOpsError(
                .usage, "`\(path)` is no safetensors file: its header would have \(length) bytes",
                hint: "name a `.safetensors` file; headers have at most \(SafetensorsFile.maximumHeaderLength) bytes")
        }
        dataStart = 8 + Int(length)
        guard dataStart <= size else {
            throw damaged(path, "it is cut short: \(size) bytes, its header alone ends at byte \(dataStart)")
        }
        let text = try file.read(count: Int(length), at: 8)
        guard text.first == UInt8(ascii: "{") else {
            throw MLOpsError(.usage, "`\(path)` is no safetensors file: its header does not start with `{`")
        }
        header = try SafetensorsHeader(parsing: text[...], dataByteCount: size - dataStart, path: path)
        if readsEveryType { for entry in header.entries { try entry.requireReadable(path: path) } }
    }

    /// The names of all tensors, sorted.
    package var names: [String] { header.entries.map(\.name).sorted() }

    /// The tensor `name`; elements of a type that tensors do not have are widened as `RawArray.tensor` says.
    ///
    /// - Throws: kind `.notFound` if there is none.
    package func tensor(_ name: String) throws -> Tensor { try tensor(try entry(name)) }

    /// All tensors by name.
    package func tensors() throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for entry in header.entries { tensors[entry.name] = try tensor(entry) }
        return tensors
    }

    /// The tensor `name` with its elements as they are stored.
    package func array(_ name: String) throws -> RawArray { try array(try entry(name)) }

    private func entry(_ name: String) throws -> SafetensorsEntry {
        guard let entry = header.entries.first(where: { $0.name == name }) else {
            throw MLOpsError(
                .notFound, "`\(path)` holds no tensor `\(printable(name))`",
                hint: nearestName(to: name, among: names).map { "did you mean `\($0)`?" })
        }
        return entry
    }

    private func tensor(_ entry: SafetensorsEntry) throws -> Tensor {
        try array(entry).tensor(source: "\(path)#\(printable(entry.name))")
    }

    private func array(_ entry: SafetensorsEntry) throws -> RawArray {
        guard let element = SafetensorsHeader.elements[entry.dtype] else {
            try entry.requireReadable(path: path)
            throw damaged(path, "dtype `\(entry.dtype)` passed the check of the header")
        }
        let bytes = try file.read(count: entry.range.count, at: Int64(dataStart + entry.range.lowerBound))
        return RawArray(shape: entry.shape, element: element, bytes: bytes)
    }
}

extension SafetensorsFile {
    /// Writes `tensors` and `metadata` to `path`, all or nothing; the bytes are those of the Python package `safetensors`.
    package static func write(_ tensors: [String: Tensor], metadata: [String: String] = [:], to path: String) throws {
        try FileSystem.replace(path, with: encode(tensors, metadata: metadata))
    }

    /// The bytes of a file with `tensors`: wider dtypes first, then by name; the header is padded to 8 bytes.
    package static func encode(_ tensors: [String: Tensor], metadata: [String: String] = [:]) -> [UInt8] {
        let sorted = tensors.sorted { left, right in
            let (a, b) = (rank(left.value.dtype), rank(right.value.dtype))
            return a == b ? left.key.utf8.lexicographicallyPrecedes(right.key.utf8) : a < b
        }
        func quoted(_ text: String) -> String { JSONValue.string(text).canonicalText }
        var members: [String] = []
        if !metadata.isEmpty {
            members.append("\"__metadata__\":" + JSONValue.object(metadata.mapValues(JSONValue.string)).canonicalText)
        }
        var data: [UInt8] = []
        for (name, tensor) in sorted {
            let start = data.count
            tensor.withUnsafeBytes { data.append(contentsOf: $0) }
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(quoted(name)):{\"dtype\":\"\(tensor.dtype.rawValue.uppercased())\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(start),\(data.count)]}")
        }
        var header = Array("{\(members.joined(separator: ","))}".utf8)
        while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
        let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
        return length + header + data
    }

    /// The order of the dtypes in a file: that of the Python package, the other way round.
    private static func rank(_ dtype: DType) -> Int {
        switch dtype {
        case .i64: 0
        case .f64: 1
        case .f32: 2
        case .i32: 3
        case .bf16: 4
        case .f16: 5
        case .i8: 6
        case .u8: 7
        case .bool: 8
        }
    }
}
