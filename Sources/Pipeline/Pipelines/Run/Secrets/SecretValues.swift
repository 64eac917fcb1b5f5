internal import Basics

/// The values of a pipeline's secrets: from the caller's environment, or else from a file that only its owner can read.
struct SecretValues: Sendable {
    /// By name; a secret that is nowhere has none.
    private(set) var values: [String: String] = [:]
    let masker: SecretMasker
    /// All secrets that any stage of the pipeline names.
    let names: Set<String>
    private let file: String?

    /// - Throws: kind `.notAllowed` for a file that others can read, `.usage` for a line that is none or a value that cannot be
    ///   hidden. A value is never part of an error.
    init(of pipeline: Pipeline) throws {
        names = Set(pipeline.stages.flatMap { $0.secrets.map(\.name) })
        file = pipeline.secretsFile?.name
        guard !names.isEmpty else {
            masker = .none
            return
        }
        var known: [String: String] = [:]
        if let file = pipeline.secretsFile { known = try SecretValues.read(file) }
        for name in names { values[name] = pipeline.environment[name] ?? known[name] }
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            guard (SecretForms.shortest...SecretForms.longest).contains(value.utf8.count) else {
                throw MLOpsError(
                    .usage,
                    "the secret `\(name)` is too \(value.isEmpty ? "short: it is empty" : value.utf8.count < 100 ? "short to be hidden" : "long")",
                    hint: "a secret has \(SecretForms.shortest) to \(SecretForms.longest) bytes")
            }
        }
        masker = SecretMasker(Array(values.values))
    }

    /// What `stage` gets as environment variables.
    ///
    /// - Throws: kind `.failed` for one that is nowhere.
    func environment(of stage: Stage) throws -> [String: String] {
        var environment: [String: String] = [:]
        for secret in stage.secrets {
            guard let value = values[secret.name] else {
                throw MLOpsError(
                    .failed, "stage `\(stage.name)` needs the secret `\(secret.name)`, which is not set",
                    hint: file.map { "set it in the environment, or write a line `\(secret.name)=…` into `\($0)`" }
                        ?? "set it in the environment, or name a file of secrets: `secrets: { file: … }`",
                    at: secret.location ?? stage.location)
            }
            environment[secret.name] = value
        }
        return environment
    }

    /// `NAME=value` lines; empty lines and lines that begin with `#` are left out, quotes around a value are taken off.
    private static func read(_ file: LocatedName) throws -> [String: String] {
        guard FileSystem.exists(file.name) else { return [:] }
        let path = FileSystem.resolved(file.name) ?? file.name
        guard let status = try FileStatus.of(path), status.kind == .file else {
            throw MLOpsError(.usage, "the file of secrets `\(file.name)` is no regular file", at: file.location)
        }
        guard status.permissions & 0o077 == 0 else {
            let mode = String(status.permissions, radix: 8)
            throw MLOpsError(
                .notAllowed, "others can read the file of secrets `\(file.name)`: its mode is \(mode), not 600",
                hint: "run `chmod 600 \(file.name)`", at: file.location)
        }
        guard status.size <= 1 << 20 else {
            throw MLOpsError(
                .usage, "the file of secrets `\(file.name)` is larger than 1 MiB", at: file.location)
        }
        var values: [String: String] = [:]
        let lines = try FileSystem.readText(path).split(separator: "\n", omittingEmptySubsequences: false)
        for (number, raw) in lines.enumerated() {
            let line = raw.hasSuffix("\r") ? raw.dropLast() : raw
            guard let first = line.first(where: { !$0.isWhitespace }), first != "#" else { continue }
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0].drop { $0 == " " || $0 == "\t" }
            guard parts.count == 2, let head = name.utf8.first, !(0x30...0x39).contains(head),
                name.utf8.allSatisfy({ $0 == 0x5F || $0 < 0x80 && Character(Unicode.Scalar($0)).isLetterOrDigit })
            else {
                throw MLOpsError(
                    .usage, "a line of the file of secrets is not `NAME=value`",
                    at: SourceLocation(path: file.name, line: number + 1))
            }
            values[String(name)] = unquoted(parts[1])
        }
        return values
    }

    private static func unquoted(_ value: Substring) -> String {
        for quote in ["\"", "'"] where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
            return String(value.dropFirst().dropLast())
        }
        return String(value)
    }
}

extension Character {
    fileprivate var isLetterOrDigit: Bool { isASCII && (isLetter || isNumber) }
}
