internal import Basics
internal import Remotes

/// A remote as DVC's configuration describes it.
struct DVCRemote: Sendable, Hashable {
    let name: String
    private var values: [String: String] = [:]

    init(name: String) { self.name = name }

    /// Files of AWS may name programs that tell credentials, so those that a repository chooses are not read.
    private static let fileKeys = [
        "credentialpath": "AWS_SHARED_CREDENTIALS_FILE", "configpath": "AWS_CONFIG_FILE",
    ]

    mutating func set(_ key: String, _ value: String, base: String) {
        var value = value
        if key == "url", !value.contains("://") { value = FileSystem.absolute(value, from: base) }
        if key == "url", value.hasPrefix("file:///") { value = FileSystem.absolute(String(value.dropFirst(7))) }
        if key == "ssl_verify", !["true", "false"].contains(value.lowercased()) {
            value = FileSystem.absolute(value, from: base)
        }
        values[key] = value
    }

    var url: String { values["url"] ?? "" }

    /// For people: without a user and a password.
    var shownURL: String { printable(withoutCredentials(url)) }

    /// The folder that it is; nil for what lies elsewhere.
    var folder: String? { url.hasPrefix("/") ? url : nil }

    /// `remote://other/path` stands for a place in another remote.
    func resolved(among remotes: [String: DVCRemote]) -> DVCRemote {
        guard url.hasPrefix("remote://") else { return self }
        let parts = url.dropFirst("remote://".count).split(separator: "/", maxSplits: 1)
        guard let other = parts.first.flatMap({ remotes[String($0)] }), !other.url.hasPrefix("remote://") else {
            return self
        }
        var resolved = self
        resolved.values = other.values.merging(values) { $1 }
        resolved.values["url"] = FileSystem.join(other.url, parts.count > 1 ? String(parts[1]) : "")
        return resolved
    }

    private func says(_ key: String) -> Bool { ["true", "yes", "on", "1"].contains(values[key]?.lowercased()) }

    /// Opens a bucket.
    ///
    /// - Throws: kind `.failed` for what only DVC can read, `.usage` for settings that make no sense.
    func open(environment: [String: String], options: TransferOptions) throws -> any Remote {
        let hint = "run `dvc fetch -r \(name)`, then the same command again"
        for key in ["version_aware", "worktree"] where says(key) {
            throw MLOpsError(
                .failed, "DVC's remote `\(name)` has `\(key)`: it keeps files by their paths, not by their MD5",
                hint: hint)
        }
        guard url.hasPrefix("s3://") else {
            throw MLOpsError(
                .failed, "DVC's remote `\(name)` is at `\(shownURL)`, which only DVC reads",
                hint: hint)
        }
        if values["ssl_verify"]?.lowercased() == "false" {
            throw MLOpsError(
                .failed,
                "DVC's remote `\(name)` has `ssl_verify = false`, and mlops trusts no server without a certificate",
                hint: "set `ssl_verify` to the file of its authority, or " + hint)
        }
        for (key, variable) in DVCRemote.fileKeys.sorted(by: <) where values[key] != nil && environment[variable] == nil
        {
            throw MLOpsError(
                .failed,
                "DVC's remote `\(name)` has `\(key)`: such a file may name programs to start, so it is not followed",
                hint: "set \(variable) to the file, then run the same command again")
        }
        var environment = environment
        let keys = [
            "access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY",
            "session_token": "AWS_SESSION_TOKEN",
        ]
        if values["access_key_id"] != nil { environment["AWS_SESSION_TOKEN"] = nil }
        for (key, name) in keys { if let value = values[key] { environment[name] = value } }
        let authority = values["ssl_verify"].flatMap { $0.lowercased() == "true" ? nil : $0 }
        let configuration = RemoteConfiguration(
            url: url.hasSuffix("/") ? String(url.dropLast()) : url, endpoint: values["endpointurl"],
            region: values["region"],
            profile: values["access_key_id"] == nil ? values["profile"] : nil, certificateFile: authority)
        return try openRemote(
            configuration, environment: environment, limiter: options.limiter, notice: options.notice)
    }
}
