internal import ArtifactRegistry
internal import Basics
package import ContentStorage
internal import GitIntegration
package import Remotes

/// What a hook did and what it could not do.
package struct HookReport: Encodable, Sendable {
    package struct Problem: Encodable, Sendable {
        package var message: String
        package var hint: String?
    }

    /// The artifacts whose files changed.
    package var outcomes: [CheckoutOutcome] = []
    package var problems: [Problem] = []

    mutating func note(_ error: any Error) {
        let known = error as? MLOpsError
        problems.append(Problem(message: known?.description ?? String(describing: error), hint: known?.hint))
    }
}

extension Workspace {
    /// Makes files follow the pointers after git has checked out `new` where `old` was; artifacts whose pointers are the
    /// same in both are not looked at.
    ///
    /// - Parameter isBranch: false after `git checkout -- <file>`, which tells no commits: all artifacts are compared then.
    /// - Returns: what was done, and what could not be, which never is an error: git's own work is done by then.
    package func followCheckout(from old: String, to new: String, isBranch: Bool) async throws -> HookReport {
        guard isBranch else { return await follow(nil) }
        guard old != new else { return HookReport() }
        return await follow(changedArtifacts(from: old, to: new))
    }

    /// The same after a merge, whose first parent git remembers as `ORIG_HEAD`.
    package func followMerge(isSquash: Bool) async throws -> HookReport {
        await follow(isSquash ? nil : changedArtifacts(from: "ORIG_HEAD", to: "HEAD"))
    }

    /// The same after the commit that ends a merge with conflicts; nothing for a commit with one parent.
    package func followCommit() async throws -> HookReport {
        guard let git = try git, (try? git.commit("HEAD^2")) != nil else { return HookReport() }
        return await follow(changedArtifacts(from: "HEAD^1", to: "HEAD"))
    }

    /// The same after a rebase, in the middle of which files may have followed any of its commits.
    package func followRebase() async throws -> HookReport { await follow(nil) }

    /// The artifacts whose pointers differ between two commits; nil if that cannot be told.
    private func changedArtifacts(from old: String, to new: String) -> Set<ArtifactName>? {
        guard let git = try? git, let prefix = try? gitPath(of: "registry"),
            let before = try? git.fileIds(under: prefix, at: old),
            let after = try? git.fileIds(under: prefix, at: new)
        else { return nil }
        let paths = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
        return Set(
            paths.compactMap { Workspace.artifact(ofPointerAt: "registry/" + $0.dropFirst(prefix.count + 1)) })
    }

    private func follow(_ artifacts: Set<ArtifactName>?) async -> HookReport {
        var report = HookReport()
        if artifacts?.isEmpty == true { return report }
        let (pointers, faults) = readablePointers()
        for fault in faults where artifacts?.contains(fault.artifact) != false { report.note(fault.error) }
        var missing: [ArtifactName] = []
        for pointer in pointers where artifacts?.contains(pointer.artifact) != false {
            do {
                // Who asked for parts of it wants no more at another commit.
                let wanted = try wanted(of: pointer)
                guard try isStored(wanted) else {
                    // Files that are right already need no store.
                    if try await !isInPlace(pointer) { missing.append(pointer.artifact) }
                    continue
                }
                let done = try await store.checkout(
                    pointer.content, to: absolute(pointer.path), options: CheckoutOptions(selection: wanted.selection))
                if !done.isUnchanged {
                    report.outcomes.append(
                        CheckoutOutcome(artifact: pointer.artifact, path: pointer.path, report: done))
                }
            } catch {
                report.note(error)
            }
        }
        if !missing.isEmpty { report.problems.append(missingProblem(missing)) }
        return report
    }

    private func isInPlace(_ pointer: Pointer) async throws -> Bool {
        guard FileSystem.exists(absolute(pointer.path)) else { return false }
        return try await store.identify(path: absolute(pointer.path)) == pointer.content
    }

    private func missingProblem(_ missing: [ArtifactName]) -> HookReport.Problem {
        let names = missing.prefix(5).map { "`\($0)`" }.joined(separator: ", ")
        let more = missing.count > 5 ? " and \(missing.count - 5) more" : ""
        let hasRemote = (try? remotes().isEmpty) == false
        return HookReport.Problem(
            message: "the store has no content for \(names)\(more) at this commit",
            hint: hasRemote
                ? "run `mlops pull` to fetch it"
                : "add the remote that has it with `mlops remote add`, then run `mlops pull`")
    }

    // MARK: Pushing

    /// Sends the data of the pointers in the commits that git is about to push, so that nobody gets a pointer without it.
    ///
    /// - Parameters:
    ///   - updates: the lines that git gives the hook `pre-push`: local name, local id, remote name, remote id.
    ///   - remoteName: what git calls the other side, or its URL.
    /// - Returns: nil if no pointer goes along.
    /// - Throws: whatever keeps the data from arriving: git should not push then.
    package func pushDataBeforeGit(
        _ updates: String, to remoteName: String, progress: ProgressHandler? = nil
    ) async throws -> (report: TransferReport, problems: [HookReport.Problem])? {
        let lines = updates.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let moved = lines.filter { $0.count == 4 && $0[1].contains { $0 != "0" } }
        guard !moved.isEmpty, let git = try git else { return nil }
        let files = try git.outgoingFiles(
            under: try gitPath(of: "registry"), tips: moved.map { $0[1] }, remote: remoteName,
            known: moved.map { $0[3] })
        var (tip, older): ([Pointer], [Pointer]) = ([], [])
        var problems: [HookReport.Problem] = []
        for file in files {
            do {
                guard let pointer = try outgoingPointer(file) else { continue }
                if file.isAtTip { tip.append(pointer) } else { older.append(pointer) }
            } catch {
                if file.isAtTip { throw error }
                problems.append(.init(message: "\(error)", hint: nil))
            }
        }
        guard !tip.isEmpty || !older.isEmpty else { return nil }
        let remote = try self.remote()
        var roots: [ContentRoot] = []
        var seen: Set<ContentRoot> = []
        var absent: [(pointer: Pointer, isAtTip: Bool)] = []
        for (pointer, isAtTip) in tip.map({ ($0, true) }) + older.map({ ($0, false) })
        where seen.insert(pointer.content).inserted {
            if try store.contains(pointer.content) {
                roots.append(pointer.content)
            } else {
                absent.append((pointer, isAtTip))
            }
        }
        let transfer = Transfer(store: store, remote: try open(remote), progress: progress)
        let lost = Set(try await transfer.absent(absent.map(\.pointer.content)))
        for (pointer, isAtTip) in absent where lost.contains(pointer.content) {
            let text = "the data of `\(pointer.artifact)` are neither here nor in the remote `\(remote.name)`"
            if isAtTip {
                throw MLOpsError(
                    .notFound, text,
                    hint: "fetch them with `mlops pull --remote <name>`, or push without them: `git push --no-verify`")
            }
            problems.append(.init(message: text + " as an earlier commit has them", hint: nil))
        }
        return (try await transfer.push(roots), problems)
    }

    private func outgoingPointer(_ file: OutgoingFile) throws -> Pointer? {
        let prefix = try gitPath(of: "registry")
        let path = "registry/" + file.path.dropFirst(prefix.count + 1)
        guard let artifact = Workspace.artifact(ofPointerAt: path) else { return nil }
        return try Pointer(
            artifact: artifact, text: String(decoding: file.bytes, as: UTF8.self),
            file: "\(file.commit.prefix(12)):\(path)")
    }
}
