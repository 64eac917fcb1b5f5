internal import Basics
package import Remotes

extension Workspace {
    /// The remotes of this machine's and the shared configuration; of two with one name this machine's counts.
    package func remotes() throws -> [ConfigurationFile.NamedRemote] {
        let files = try configurationFiles()
        let defaultName = files.lazy.compactMap(\.defaultRemote).first
        var seen: Set<String> = []
        var all: [ConfigurationFile.NamedRemote] = []
        for file in files {
            for (name, configuration) in file.remotes where seen.insert(name).inserted {
                all.append(.init(name: name, configuration: configuration, isDefault: false, file: file.path))
            }
        }
        for index in all.indices { all[index].isDefault = all[index].name == defaultName || all.count == 1 }
        return all.sorted { $0.name < $1.name }
    }

    /// The remote named `name`, or the default one.
    ///
    /// - Throws: kind `.notFound` if there is none, with the command that adds one.
    package func remote(named name: String? = nil) throws -> ConfigurationFile.NamedRemote {
        let all = try remotes()
        if let name {
            if let remote = all.first(where: { $0.name == name }) { return remote }
            let near = nearestName(to: name, among: all.map(\.name)).map { "did you mean `\($0)`? " } ?? ""
            throw MLOpsError(
                .notFound, "there is no remote `\(name)`", hint: near + "run `mlops remote list` to see all")
        }
        if let remote = all.first(where: \.isDefault) { return remote }
        if all.isEmpty {
            throw MLOpsError(
                .notFound, "this project has no remote",
                hint: "add one with `mlops remote add origin s3://bucket/prefix` or a folder's path")
        }
        throw MLOpsError(
            .usage, "none of the \(all.count) remotes is the default",
            hint: "name one with `--remote`, or run `mlops remote add --default`")
    }

    /// Opens a remote.
    package func open(
        _ remote: ConfigurationFile.NamedRemote, options: TransferOptions = TransferOptions()
    ) throws -> any Remote {
        // Paths are meant from the project's root, wherever the command was given.
        try openRemote(
            remote.configuration, environment: environment.variables, relativeTo: root, limiter: options.limiter,
            notice: options.notice)
    }

    /// Adds a remote, after asking it whether it answers and honours conditional writes.
    ///
    /// - Parameters:
    ///   - isLocal: written to `.mlops/config.yaml`, for this machine alone, instead of `registry/config.yaml`.
    ///   - makeDefault: used where no remote is named; the first remote is in any case.
    /// - Throws: kind `.conflict` for a name taken by another remote, `.usage` for a folder that cannot be one; what the remote answers, in which case nothing is written.
    package func addRemote(
        _ name: String, _ configuration: RemoteConfiguration, isLocal: Bool, makeDefault: Bool
    ) async throws -> RemoteAddition {
        guard name.first?.isLetter == true || name.first?.isNumber == true,
            name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) })
        else {
            throw MLOpsError(
                .usage, "remote name `\(printable(name))` has other characters than letters, digits, `-`, `_` and `.`",
                hint: "use a name such as `origin`")
        }
        var configuration = configuration
        if configuration.url.hasPrefix("./") || configuration.url.hasPrefix("../") {
            configuration.url = FileSystem.absolute(configuration.url)
        }
        if let file = configuration.certificateFile {
            let path = FileSystem.absolute(file)
            configuration.certificateFile = FileSystem.relative(path, to: root) ?? path
        }
        let path = isLocal ? ConfigurationFile.localPath : ConfigurationFile.sharedPath
        let named = ConfigurationFile.NamedRemote(
            name: name, configuration: configuration, isDefault: makeDefault, file: path)
        // The same remote again is fine: the call before may have been stopped after it was done.
        if let found = try remotes().first(where: { $0.name == name }),
            found.configuration != configuration || found.file != path
        {
            throw MLOpsError(
                .conflict, "there is a remote `\(name)` already",
                hint: "run `mlops remote remove \(name)` first, or choose another name")
        }
        try refuseUselessFolder(configuration.url)
        let capabilities = try await probeRemote(try open(named))
        var file = try ConfigurationFile(path: path, in: root)
        file.remotes.removeAll { $0.name == name }
        file.remotes.append((name, configuration))
        if makeDefault { file.defaultRemote = name }
        try file.save(in: root)
        return RemoteAddition(
            name: name, url: configuration.url, file: path, allowsSharedWriting: capabilities.hasConditionalWrites,
            isSingleWriter: configuration.isSingleWriter == true)
    }

    /// Refuses a remote in a file, and one in a folder where its files would be taken for the project's own.
    private func refuseUselessFolder(_ url: String) throws {
        let isFileURL = url.hasPrefix("file://")
        guard isFileURL || !url.contains("://") else { return }
        let path = absolute(isFileURL ? String(url.dropFirst("file://".count)) : url)
        if FileSystem.exists(path), !FileSystem.isDirectory(path) {
            throw MLOpsError(
                .usage, "`\(printable(path))` is not a folder, so it cannot be a remote",
                hint: "name a folder; one that does not exist yet is made")
        }
        var (existing, rest) = (path, "")
        while !FileSystem.exists(existing), existing != "/" {
            rest = FileSystem.join(FileSystem.name(of: existing), rest)
            existing = FileSystem.parent(of: existing)
        }
        let real = FileSystem.join(FileSystem.resolved(existing) ?? existing, rest)
        let own = [absolute("registry"), folder].map { FileSystem.resolved($0) ?? $0 }
        guard FileSystem.absolute(real) == root || own.contains(where: { FileSystem.contains($0, real) }) else {
            return
        }
        throw MLOpsError(
            .usage, "the remote `\(printable(path))` would lie among the project's own files",
            hint: "use a folder outside of the project, or one of its own inside of it")
    }

    /// Forgets a remote; what lies there stays.
    package func removeRemote(_ name: String) throws -> ConfigurationFile.NamedRemote {
        let remote = try remote(named: name)
        var file = try ConfigurationFile(path: remote.file, in: root)
        file.remotes.removeAll { $0.name == name }
        if file.defaultRemote == name { file.defaultRemote = nil }
        try file.save(in: root)
        return remote
    }

    /// This machine's configuration first, then the user's, then the shared one.
    private func configurationFiles() throws -> [ConfigurationFile] {
        var files = [try ConfigurationFile(path: ConfigurationFile.localPath, in: root)]
        if let path = environment.userConfigurationPath { files.append(try ConfigurationFile(path: path, in: "/")) }
        files.append(try ConfigurationFile(path: ConfigurationFile.sharedPath, in: root))
        return files
    }
}

/// What `mlops remote add` did.
package struct RemoteAddition: Encodable, Sendable {
    package var name: String
    package var url: String
    /// The configuration file that names it now.
    package var file: String
    /// Whether the remote honours conditional writes, so that several writers cannot overwrite each other's events.
    package var allowsSharedWriting: Bool
    /// Whether the configuration says that one machine alone publishes there.
    package var isSingleWriter: Bool
}
