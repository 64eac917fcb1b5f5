internal import Basics
internal import GitIntegration

/// What `mlops install` or `mlops uninstall` did.
package struct HookInstallation: Encodable, Sendable {
    /// The folder of the hooks, absolute.
    package var hooksFolder: String
    /// The files that were written or removed: absolute, or from the project's root.
    package var changedFiles: [String]
    /// Whether git's configuration changed.
    package var hasChangedConfiguration: Bool
    package var isInstalled: Bool

    package var isUnchanged: Bool { changedFiles.isEmpty && !hasChangedConfiguration }
}

extension Workspace {
    /// The name of the merge driver in git's configuration and attributes.
    static let mergeDriverName = "mlops-pointer"
    /// All pointers, but not `registry/config.yaml`, whose lines git merges well by itself.
    static let attributesLine = "registry/*/**/*.yaml merge=\(mergeDriverName)"

    private static let driverKey = "merge.\(mergeDriverName).driver"
    private static let driverTitleKey = "merge.\(mergeDriverName).name"

    /// Puts hooks and a merge driver for pointers into the surrounding repository; what is there already stays.
    ///
    /// - Throws: kind `.failed` without git, for hooks that are no shell scripts, links, or switched off, and for a folder of
    ///   hooks that lies outside the repository; kind `.conflict` while another program writes git's configuration. Nothing is
    ///   changed then.
    package func installHooks() throws -> HookInstallation {
        let place = try hookPlace()
        var files: [(path: String, text: String, mode: UInt32)] = []
        for hook in GitHook.allCases {
            let path = FileSystem.join(place.folder, hook.rawValue)
            let (old, mode) = try hookText(path)
            guard let new = place.script.inserting(hook, into: old ?? "") else {
                throw MLOpsError(
                    .failed, "the hook `\(path)` is no shell script, so nothing can be added to it",
                    hint: "call `mlops hook \(hook.rawValue) -- \"$@\"` in it, or see `mlops install --print`")
            }
            let isDisabled = mode & 0o111 == 0 && !place.runsAnyMode
            // To switch it on would start the user's lines, which git skips.
            if isDisabled, let old, !place.script.removing(from: old).isEmpty {
                throw MLOpsError(
                    .failed, "the hook `\(path)` is not executable, so git skips it",
                    hint: "run `chmod +x \(path)` if it should run, else move it away; then run `mlops install` again")
            }
            if new != old || isDisabled { files.append((path, new, isDisabled ? mode | 0o755 : mode)) }
        }
        let attributes = try attributesText()
        // First what may be locked.
        let git = try requireGit()
        var hasChanged = try git.setConfiguration(Workspace.driverTitleKey, to: "three-way merge of mlops pointers")
        if try git.setConfiguration(Workspace.driverKey, to: place.script.mergeDriver) { hasChanged = true }
        var changed: [String] = []
        if !files.isEmpty { try FileSystem.createDirectories(place.folder) }
        for file in files {
            try FileSystem.replace(file.path, with: Array(file.text.utf8), mode: file.mode)
            changed.append(file.path)
        }
        let lines = attributes.split(separator: "\n", omittingEmptySubsequences: false)
        if !lines.contains(Workspace.attributesLine[...]) {
            let separator = attributes.isEmpty || attributes.hasSuffix("\n") ? "" : "\n"
            try FileSystem.replace(
                absolute(".gitattributes"), with: Array((attributes + separator + Workspace.attributesLine + "\n").utf8)
            )
            changed.append(".gitattributes")
        }
        return HookInstallation(
            hooksFolder: place.folder, changedFiles: changed, hasChangedConfiguration: hasChanged, isInstalled: true)
    }

    /// Takes out what `installHooks` put in, and nothing else.
    package func uninstallHooks() throws -> HookInstallation {
        let place = try hookPlace()
        var hooks: [(path: String, rest: String, mode: UInt32)] = []
        var isNeededByOthers = false
        for hook in GitHook.allCases {
            let path = FileSystem.join(place.folder, hook.rawValue)
            guard FileSystem.exists(path), let (text, mode) = try? hookText(path), let old = text else { continue }
            let rest = place.script.removing(from: old)
            if HookScript.hasBlock(rest) { isNeededByOthers = true }
            if rest != old { hooks.append((path, rest, mode)) }
        }
        // First what may be locked. All projects of the repository have the one driver.
        let hasChanged = isNeededByOthers ? false : try removeMergeDriver()
        var changed: [String] = []
        for hook in hooks {
            if hook.rest.isEmpty {
                try FileSystem.removeFile(hook.path)
            } else {
                try FileSystem.replace(hook.path, with: Array(hook.rest.utf8), mode: hook.mode)
            }
            changed.append(hook.path)
        }
        let attributes = try attributesText()
        let kept = attributes.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { $0 != Workspace.attributesLine }.joined(separator: "\n")
        if kept != attributes {
            if kept.allSatisfy(\.isWhitespace) {
                try FileSystem.removeFile(absolute(".gitattributes"))
            } else {
                try FileSystem.replace(absolute(".gitattributes"), with: Array(kept.utf8))
            }
            changed.append(".gitattributes")
        }
        return HookInstallation(
            hooksFolder: place.folder, changedFiles: changed, hasChangedConfiguration: hasChanged, isInstalled: false)
    }

    /// False if git's configuration had none.
    private func removeMergeDriver() throws -> Bool {
        let git = try requireGit()
        var hasChanged = try git.setConfiguration(Workspace.driverKey, to: nil)
        if try git.setConfiguration(Workspace.driverTitleKey, to: nil) { hasChanged = true }
        if hasChanged { try git.removeEmptySection("[merge \"\(Workspace.mergeDriverName)\"]") }
        return hasChanged
    }

    /// What a person adds to hooks that mlops must not touch.
    package func hookLines() throws -> String {
        let script = HookScript(project: try projectBelowGit(), executable: nil)
        let hooks = GitHook.allCases.map { "# in \($0.rawValue):\n\(script.block(of: $0))" }
        return hooks.joined(separator: "\n") + """

            # in .gitattributes:
            \(Workspace.attributesLine)

            # once in each clone:
            git config \(Workspace.driverKey) \(shellQuoted(script.mergeDriver))

            """
    }

    // MARK: Places

    /// - Returns: `runsAnyMode` where hooks run that are not executable, too.
    private func hookPlace() throws -> (folder: String, script: HookScript, runsAnyMode: Bool) {
        let git = try requireGit()
        let (configured, isConfigured) = try git.hooksFolder()
        var folder = FileSystem.resolved(configured) ?? configured
        let isInTree = FileSystem.contains(git.workingTree, folder)
        let ownFolders = [try git.commonFolder(), git.gitFolder].map { FileSystem.resolved($0) ?? $0 }
        let isOwn = ownFolders.contains { FileSystem.contains($0, folder) }
        guard isOwn || isInTree else {
            let why = isConfigured ? "`core.hooksPath` of git's configuration names" : "a link leads to"
            throw MLOpsError(
                .failed, "\(why) `\(folder)`, whose hooks other repositories may run too",
                hint: "add the lines of `mlops install --print` there, or run `git config core.hooksPath .git/hooks`")
        }
        // Husky: git runs the scripts that husky makes in `_`, and those run the user's in the folder above.
        let isHusky = FileSystem.name(of: folder) == "_" && FileSystem.exists(FileSystem.join(folder, "h"))
        if isHusky { folder = FileSystem.parent(of: folder) }
        // What is in the work tree may be committed, and this machine's path means nothing elsewhere.
        let executable = isOwn ? environment.executable : nil
        return (folder, HookScript(project: try projectBelowGit(), executable: executable), isHusky)
    }

    private func projectBelowGit() throws -> String {
        let tree = try requireGit().workingTree
        return root == tree ? "" : String(root.dropFirst(tree.count + 1))
    }

    private func hookText(_ path: String) throws -> (text: String?, mode: UInt32) {
        guard let status = try FileStatus.of(path) else { return (nil, 0o755) }
        guard status.kind == .file else {
            throw MLOpsError(
                .failed, "the hook `\(path)` is \(status.kind == .symlink ? "a symbolic link" : "no regular file")",
                hint: "add the lines of `mlops install --print` to what it runs")
        }
        let bytes = try FileSystem.read(path)
        // A program would not survive being taken for text.
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw MLOpsError(
                .failed, "the hook `\(path)` is no shell script, so nothing can be added to it",
                hint: "replace it by a script that runs it, then run `mlops install` again")
        }
        return (text, status.permissions)
    }

    private func attributesText() throws -> String {
        let path = absolute(".gitattributes")
        guard let status = try FileStatus.of(path) else { return "" }
        guard status.kind == .file, let text = String(validating: try FileSystem.read(path), as: UTF8.self) else {
            throw MLOpsError(
                .failed, "`.gitattributes` is no regular file of text", hint: "see it with `ls -l .gitattributes`")
        }
        return text
    }
}
