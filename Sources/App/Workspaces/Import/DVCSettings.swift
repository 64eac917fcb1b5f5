internal import Basics

/// What `.dvc/config` says about where content lies.
struct DVCSettings {
    /// Folders with content, the likelier first; absolute.
    private(set) var folders: [String] = []
    /// The remotes that are no folders here, the default one first.
    private(set) var distant: [DVCRemote] = []

    /// - Parameters:
    ///   - root: the folder that holds `.dvc/`.
    ///   - userFile: the user's own configuration of DVC.
    ///   - remote: the name of the only remote to use; nil for all.
    ///   - fetched: a folder with what was fetched from a distant remote before.
    init(root: String, userFile: String?, remote: String? = nil, fetched: String? = nil) throws {
        let folder = FileSystem.join(root, ".dvc")
        let files = [userFile, FileSystem.join(folder, "config"), FileSystem.join(folder, "config.local")]
        var cache = FileSystem.join(folder, "cache")
        var defaultName: String?
        var remotes: [String: DVCRemote] = [:]
        for file in files.compactMap(\.self) {
            guard let status = try FileStatus.of(file), status.kind == .file, status.size <= 1 << 20 else { continue }
            let base = FileSystem.parent(of: file)
            for (section, key, value) in DVCSettings.parse(try FileSystem.readText(file)) where !value.utf8.contains(0)
            {
                if section == "cache", key == "dir" { cache = FileSystem.absolute(value, from: base) }
                if section == "core", key == "remote" { defaultName = value }
                guard section.hasPrefix("remote ") else { continue }
                let name = String(section.dropFirst("remote ".count))
                remotes[name, default: DVCRemote(name: name)].set(key, value, base: base)
            }
        }
        if let remote, remotes[remote] == nil {
            let near = nearestName(to: remote, among: Array(remotes.keys)).map { "did you mean `\($0)`?" }
            throw MLOpsError(
                .notFound, "`\(root)/.dvc/config` has no remote `\(printable(remote))`",
                hint: near ?? "run `dvc remote list` to see all")
        }
        let chosen = remotes.values.filter { remote == nil || $0.name == remote }.sorted {
            ($0.name == defaultName ? "" : $0.name) < ($1.name == defaultName ? "" : $1.name)
        }.map { $0.resolved(among: remotes) }
        folders = [cache] + [fetched].compactMap(\.self) + chosen.compactMap(\.folder)
        distant = chosen.filter { $0.folder == nil && !$0.url.isEmpty }
    }

    /// The lines of a configuration: `[core]`, `['remote "name"']`, `key = value`.
    static func parse(_ text: String) -> [(section: String, key: String, value: String)] {
        var section = ""
        var values: [(String, String, String)] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let line = DVCSettings.trimmed(line)
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), let end = line.lastIndex(of: "]") {
                let name = DVCSettings.unquoted(line[line.index(after: line.startIndex)..<end])
                section = name.replacing("\"", with: "")
                continue
            }
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = DVCSettings.trimmed(line[..<equals]).lowercased()
            values.append((section, key, unquoted(trimmed(line[line.index(after: equals)...]))))
        }
        return values
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop(while: \.isWhitespace)
        let tail = start.reversed().prefix(while: \.isWhitespace).count
        return start.dropLast(tail)
    }

    private static func unquoted(_ text: Substring) -> String {
        let text = trimmed(text)
        guard let first = text.first, text.count >= 2, first == text.last, first == "\"" || first == "'" else {
            return String(text)
        }
        return String(text.dropFirst().dropLast())
    }

    /// Where the content with the MD5 `hash` lies: the file, links resolved.
    func source(of hash: String, suffix: String = "") -> String? {
        let place = "\(hash.prefix(2))/\(hash.dropFirst(2))\(suffix)"
        for folder in folders {
            // DVC 3 and DVC 2.
            for layout in ["files/md5/", ""] {
                let path = FileSystem.join(folder, layout + place)
                guard FileSystem.exists(path), let real = FileSystem.resolved(path),
                    (try? FileStatus.of(real))??.kind == .file
                else { continue }
                return real
            }
        }
        return nil
    }
}

/// `address` without a user and a password, which belong into no file that git keeps.
func withoutCredentials(_ address: String) -> String {
    guard let scheme = address.firstRange(of: "://") else { return address }
    let rest = address[scheme.upperBound...]
    let host = rest.prefix { $0 != "/" }
    guard let at = host.lastIndex(of: "@") else { return address }
    return String(address[..<scheme.upperBound]) + rest[rest.index(after: at)...]
}
