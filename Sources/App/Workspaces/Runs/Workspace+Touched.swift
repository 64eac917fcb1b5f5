internal import ArtifactRegistry
internal import Basics
internal import GitIntegration
package import Pipelines

extension Workspace {
    /// Which stages differ between the commit that `revision` and HEAD have in common and the files as they are.
    package func touched(_ pipeline: Pipeline, since revision: String) throws -> StageTouch {
        let git = try requireGit()
        let program = GitProgram(in: git.workingTree)
        let commit = try program.mergeBase(with: revision)
        let prefix = try gitPrefix()
        let files = Set(
            try program.filesChanged(since: commit).filter { $0.hasPrefix(prefix) }
                .map { String($0.dropFirst(prefix.count)) })
        var (data, artifacts) = (files, Set<String>())
        for path in files {
            guard let artifact = Workspace.artifact(ofPointerAt: path) else { continue }
            artifacts.insert(artifact.description)
            // A changed pointer changes the data that stages name by path.
            if let pointer = try pointer(of: artifact) { data.insert(pointer.path.description) }
        }
        let isSpecTouched = files.contains { Self.mayBeSpec($0) } || files.contains(pipeline.file)
        let old = isSpecTouched ? try before(pipeline, at: commit, git, prefix) : nil
        return StageTouch(
            pipeline, commit: commit, files: data, artifacts: artifacts, old: old, isSpecTouched: isSpecTouched)
    }

    private static func mayBeSpec(_ path: String) -> Bool {
        [".yaml", ".yml", ".json"].contains { path.hasSuffix($0) } && Workspace.artifact(ofPointerAt: path) == nil
    }

    /// The project's folder in the repository, with a slash at the end; empty if it is the repository's own.
    private func gitPrefix() throws -> String {
        let path = try gitPath(of: "registry")
        return String(path.dropLast("registry".count))
    }

    /// The pipeline as it was at `commit`, read from a temporary folder with the YAML and JSON files of that commit.
    private func before(
        _ pipeline: Pipeline, at commit: String, _ git: GitRepository, _ prefix: String
    ) throws
        -> Pipeline?
    {
        let scratch = FileSystem.join(folder, "tmp/since-\(UInt64.random(in: 0 ... .max))")
        defer { try? FileSystem.removeTree(scratch) }
        try FileSystem.createDirectories(scratch, mode: 0o700)
        for file in try git.smallFiles(at: commit, upTo: 1 << 20) where file.path.hasPrefix(prefix) {
            let path = String(file.path.dropFirst(prefix.count))
            guard [".yaml", ".yml", ".json"].contains(where: { path.hasSuffix($0) }),
                let relative = try? RelativePath(path)
            else { continue }
            let target = FileSystem.join(scratch, relative.description)
            try FileSystem.createDirectories(FileSystem.parent(of: target))
            try FileSystem.replaceUnflushed(target, with: file.bytes)
        }
        return try? Pipeline.load(
            PipelineSource(
                root: scratch, file: pipeline.file, overrides: pipeline.overrides, environment: pipeline.environment,
                git: pipeline.git, steps: pipeline.steps))
    }
}
