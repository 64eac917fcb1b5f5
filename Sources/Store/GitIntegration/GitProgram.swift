internal import Basics
internal import Foundation

/// The `git` program, for what has no short way through libgit2: worktrees, patches, differences with untracked files.
package struct GitProgram: Sendable {
    package let folder: String

    package init(in folder: String) { self.folder = folder }

    /// What `git arguments` prints, as bytes. No program runs that the repository's own configuration names.
    ///
    /// - Throws: kind `.failed` with what git says.
    @discardableResult
    package func bytes(_ arguments: [String]) throws -> [UInt8] {
        let converts = ["apply", "diff", "worktree"].contains(arguments.first)
        return try run(arguments, settings: converts ? try withoutFilters() : [])
    }

    /// Settings that leave out the filters of the repository's configuration, by which git changes files as it reads and
    /// writes them. Those of the user's own, such as Git LFS, stay.
    private func withoutFilters() throws -> [(key: String, value: String)] {
        let listed = try run(["config", "--list", "--show-scope", "--name-only", "-z"]).split(separator: 0)
            .map { String(decoding: $0, as: UTF8.self) }
        var names: Set<String> = []
        for index in stride(from: 0, to: listed.count - 1, by: 2) where ["local", "worktree"].contains(listed[index]) {
            let key = listed[index + 1]
            guard key.hasPrefix("filter."), let dot = key.lastIndex(of: ".") else { continue }
            names.insert(String(key[..<dot]))
        }
        return names.sorted().flatMap { name in
            [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")].map { ("\(name).\($0)", $1) }
        }
    }

    private func run(_ arguments: [String], settings: [(key: String, value: String)] = []) throws -> [UInt8] {
        try OpenFile.requireRoom(toStart: "git")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // Names in UTF-8 as they are; no pager, no hooks, no monitor of files, no questions.
        process.arguments =
            [
                "git", "-c", "core.quotePath=false", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
                "-C", folder,
            ] + arguments
        var variables = ProcessInfo.processInfo.environment
        variables["GIT_TERMINAL_PROMPT"] = "0"
        variables["LC_ALL"] = "C"
        // In a hook of git these name the repository that it was called for.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] { variables[name] = nil }
        // As variables: `-c` would end a key at its first `=`.
        let count = variables["GIT_CONFIG_COUNT"].flatMap { Int($0) } ?? 0
        for (index, setting) in settings.enumerated() {
            variables["GIT_CONFIG_KEY_\(count + index)"] = setting.key
            variables["GIT_CONFIG_VALUE_\(count + index)"] = setting.value
        }
        if !settings.isEmpty { variables["GIT_CONFIG_COUNT"] = "\(count + settings.count)" }
        process.environment = variables
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch {
            throw MLOpsError(.failed, "`git` cannot be started", hint: "install git", cause: error)
        }
        // git says little on standard error, so one reader after the other cannot block it.
        let result = output.fileHandleForReading.readDataToEndOfFile()
        let said = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let text =
                String(decoding: said.prefix(500), as: UTF8.self).split(separator: "\n").first ?? "no reason given"
            throw MLOpsError(.failed, "`git \(arguments.first ?? "")` failed: \(printable(String(text)))")
        }
        return Array(result)
    }

    package func text(_ arguments: [String]) throws -> String {
        let text = String(decoding: try bytes(arguments), as: UTF8.self)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    private func names(_ arguments: [String]) throws -> [String] {
        try bytes(arguments).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The commit that `revision` and HEAD have in common.
    ///
    /// - Throws: kind `.notFound` if there is none here, as in a shallow clone.
    package func mergeBase(with revision: String) throws -> String {
        guard !revision.hasPrefix("-") else {
            throw MLOpsError(.usage, "`\(printable(revision))` is no revision of git")
        }
        do { return try text(["merge-base", revision, "HEAD"]) } catch {
            throw MLOpsError(
                .notFound, "git knows no common commit of `\(printable(revision))` and HEAD",
                hint: "fetch it with its history: `git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout",
                cause: error)
        }
    }

    /// The files that differ between `commit` and the working tree, untracked ones included, relative to the working tree.
    package func filesChanged(since commit: String) throws -> Set<String> {
        let tracked = try names(["diff", "--name-only", "--no-renames", "-z"] + GitProgram.plainDiff + [commit, "--"])
        return Set(tracked + (try names(["ls-files", "--others", "--exclude-standard", "-z", "--full-name", ":/"])))
    }

    /// What `git apply` needs to make the working tree's tracked files out of HEAD.
    package func patch() throws -> [UInt8] {
        try bytes(["diff", "--binary", "--full-index"] + GitProgram.plainDiff + ["HEAD", "--"])
    }

    /// No programs of the configuration; nor does git look into submodules, where it would heed theirs.
    private static let plainDiff = ["--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"]

    /// - Throws: kind `.io` if git cannot be asked.
    package func hasCommit(_ id: String) throws -> Bool {
        guard !id.hasPrefix("-") else { return false }
        do {
            try bytes(["cat-file", "-e", "\(id)^{commit}"])
            return true
        } catch let error as MLOpsError where error.kind == .failed {
            return false
        }
    }
}
