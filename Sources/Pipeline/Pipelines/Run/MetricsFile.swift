internal import Basics

/// Reads and merges the metrics files of a stage.
enum MetricsFile {
    /// No metrics file is larger.
    static let byteLimit: Int64 = 16 << 20

    /// One object of all files; nil without files.
    ///
    /// - Throws: kind `.failed` naming the file that is no JSON object, or the key that two files set.
    static func read(_ paths: [String], root: String, stage: String) throws -> JSONValue? {
        guard !paths.isEmpty else { return nil }
        var merged: [String: JSONValue] = [:]
        var sources: [String: String] = [:]
        for path in paths {
            let full = FileSystem.join(root, path)
            guard let status = try FileStatus.of(full), status.kind == .file, status.size <= byteLimit else {
                throw MLOpsError(
                    .failed,
                    "the metrics `\(path)` of stage `\(stage)` are not a file of at most \(Format.bytes(byteLimit))")
            }
            for (key, value) in try members(try FileSystem.read(full), path: path, stage: stage) {
                if let other = sources.updateValue(path, forKey: key) {
                    throw MLOpsError(
                        .failed, "stage `\(stage)` sets the metric `\(printable(key))` in `\(other)` and in `\(path)`",
                        hint: "give each file keys of its own")
                }
                merged[key] = value
            }
        }
        return .object(merged)
    }

    private static func members(_ bytes: [UInt8], path: String, stage: String) throws -> [String: JSONValue] {
        do {
            let json = try JSONValue(parsing: bytes, source: path)
            if let members = json.object { return members }
            throw MLOpsError(
                .failed, "the metrics `\(path)` of stage `\(stage)` are not a JSON object",
                hint: "write an object, such as `{\"accuracy\": 0.93}`")
        } catch let error as MLOpsError where error.kind == .usage {
            let text = String(decoding: bytes.prefix(1 << 16), as: UTF8.self)
            let isNotFinite = ["NaN", "Infinity"].contains { text.contains($0) }
            throw MLOpsError(
                .failed, "the metrics `\(path)` of stage `\(stage)` are not JSON",
                hint: isNotFinite ? "JSON has no NaN and no Infinity; write null" : nil, at: error.location,
                cause: error)
        }
    }
}
