internal import Basics

/// The shared files of AWS's tools: `~/.aws/credentials` and `~/.aws/config`.
struct AWSFiles: Sendable {
    var credentialsPath: String?
    var configPath: String?

    init(environment: [String: String]) {
        let home = environment["HOME"].nonEmpty
        credentialsPath =
            environment["AWS_SHARED_CREDENTIALS_FILE"].nonEmpty ?? home.map { FileSystem.join($0, ".aws/credentials") }
        configPath = environment["AWS_CONFIG_FILE"].nonEmpty ?? home.map { FileSystem.join($0, ".aws/config") }
    }

    /// The settings of `profile` in both files; those of the credentials file win. Empty if no file has it.
    func settings(profile: String) throws -> [String: String] {
        var settings: [String: String] = [:]
        for (path, isConfig) in [(configPath, true), (credentialsPath, false)] {
            guard let path, FileSystem.exists(path) else { continue }
            let sections = AWSFiles.parse(try FileSystem.readText(path))
            // The configuration may call the default profile either way.
            let names =
                !isConfig ? [profile] : profile == "default" ? ["default", "profile default"] : ["profile \(profile)"]
            for name in names { settings.merge(sections[name] ?? [:]) { _, new in new } }
        }
        return settings
    }

    /// The sections of an INI file as AWS's tools read it: `[name]`, `key = value`, `#` and `;` comments; indented lines
    /// (nested settings) are left out.
    static func parse(_ text: String) -> [String: [String: String]] {
        var sections: [String: [String: String]] = [:]
        var current: String?
        for line in text.split(whereSeparator: \.isNewline) {
            if line.first == " " || line.first == "\t" { continue }
            let content = line.trimmingBlanks
            if content.hasPrefix("#") || content.hasPrefix(";") { continue }
            if content.hasPrefix("["), let end = content.firstIndex(of: "]") {
                let name = content[content.index(after: content.startIndex)..<end]
                current = AWSFiles.sectionName(name)
            } else if let current, let equals = content.firstIndex(of: "=") {
                let key = content[..<equals].trimmingBlanks.lowercased()
                // A comment inside a value starts after a blank.
                var value = content[content.index(after: equals)...].trimmingBlanks
                if let comment = value.firstRange(of: " #") { value = value[..<comment.lowerBound].trimmingBlanks }
                sections[current, default: [:]][key] = value
            }
        }
        return sections
    }

    /// `profile team`, with whatever blanks and quotes it is written: `[ profile "team" ]`.
    private static func sectionName(_ text: some StringProtocol) -> String {
        let name = text.trimmingBlanks
        guard name.hasPrefix("profile "), case let profile = name.dropFirst(8).trimmingBlanks else { return name }
        let isQuoted = ["\"", "'"].contains { profile.count > 1 && profile.hasPrefix($0) && profile.hasSuffix($0) }
        return "profile \(isQuoted ? String(profile.dropFirst().dropLast()) : profile)"
    }
}

extension [String: String] {
    /// The profile that the environment chooses.
    var awsProfile: String? { self["AWS_PROFILE"].nonEmpty ?? self["AWS_DEFAULT_PROFILE"].nonEmpty }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmingBlanks: String {
        var rest = self[...]
        while let first = rest.first, first == " " || first == "\t" { rest = rest.dropFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest = rest.dropLast() }
        return String(rest)
    }
}
