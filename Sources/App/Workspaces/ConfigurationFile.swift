internal import Basics
internal import Pipelines
package import Remotes

/// Where the project's remotes are written: `registry/config.yaml`, which git carries to every clone, and
/// `.mlops/config.yaml`, which stays on this machine and wins.
package struct ConfigurationFile: Sendable {
    /// A remote by its name.
    package struct NamedRemote: Sendable {
        package var name: String
        package var configuration: RemoteConfiguration
        package var isDefault: Bool
        /// The file that it is written in, from the project's root.
        package var file: String
    }

    static let sharedPath = "registry/config.yaml"
    static let localPath = ".mlops/config.yaml"
    static let initialText = "version: 1\n"

    /// The file, from the project's root.
    var path: String
    var defaultRemote: String?
    /// In the order of the file.
    var remotes: [(name: String, configuration: RemoteConfiguration)]

    private static let remoteKeys = ["url", "endpoint", "region", "path_style", "profile", "ca_file", "single_writer"]

    /// The file at `path`, or an empty one if it does not exist.
    init(path: String, in root: String) throws {
        self.path = path
        remotes = []
        let absolute = FileSystem.join(root, path)
        guard FileSystem.exists(absolute) else { return }
        let node = try YAML.read(absolute, name: path)
        if node.isNull { return }
        let map = try node.map()
        try map.rejectUnknownKeys(["version", "default_remote", "remotes"], of: "the configuration")
        if let version = map.value("version"), try version.int() != 1 {
            throw MLOpsError(
                .usage, "configuration version \(version.text) is not known, expected 1",
                hint: "update `mlops` to the version that wrote this file", at: version.location)
        }
        defaultRemote = try map.string("default_remote")
        for entry in try map.map("remotes")?.entries ?? [] {
            remotes.append((entry.key, try ConfigurationFile.remote(from: try entry.value.map())))
        }
    }

    private static func remote(from map: YAMLMap) throws -> RemoteConfiguration {
        try map.rejectUnknownKeys(remoteKeys, of: "a remote")
        return RemoteConfiguration(
            url: try map.required("url", of: "a remote").string(), endpoint: try map.string("endpoint"),
            region: try map.string("region"), pathStyle: try map.bool("path_style"),
            profile: try map.string("profile"), certificateFile: try map.string("ca_file"),
            isSingleWriter: try map.bool("single_writer"))
    }

    /// Writes the file, all or nothing.
    func save(in root: String) throws {
        var entries: [(String, YAMLValue)] = [("version", 1)]
        if let defaultRemote { entries.append(("default_remote", .string(defaultRemote))) }
        if !remotes.isEmpty {
            entries.append(("remotes", .map(remotes.map { ($0.name, ConfigurationFile.value(of: $0.configuration)) })))
        }
        let bytes = Array(YAMLWriter.text(of: .map(entries)).utf8)
        // Git carries `registry/`, so a link there is somebody else's word; `.mlops` may lead to a larger disk.
        if path == ConfigurationFile.sharedPath { return try FileSystem.replace(path, below: root, with: bytes) }
        let absolute = FileSystem.join(root, path)
        try FileSystem.createDirectories(FileSystem.parent(of: absolute))
        try FileSystem.replace(absolute, with: bytes)
    }

    private static func value(of remote: RemoteConfiguration) -> YAMLValue {
        var entries: [(String, YAMLValue)] = [("url", .string(remote.url))]
        if let endpoint = remote.endpoint { entries.append(("endpoint", .string(endpoint))) }
        if let region = remote.region { entries.append(("region", .string(region))) }
        if let pathStyle = remote.pathStyle { entries.append(("path_style", .bool(pathStyle))) }
        if let profile = remote.profile { entries.append(("profile", .string(profile))) }
        if let file = remote.certificateFile { entries.append(("ca_file", .string(file))) }
        if let isSingleWriter = remote.isSingleWriter { entries.append(("single_writer", .bool(isSingleWriter))) }
        return .map(entries)
    }
}
