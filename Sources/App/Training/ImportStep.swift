internal import ArtifactRegistry
package import Basics
internal import ContentStorage
internal import Datasets
package import Pipelines
internal import Workspaces

/// `uses: import`: brings a dataset from a folder of this machine into the project, reads it through once, and records it.
package struct ImportStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "import"
    package let version = 1
    package let summary = "bring a dataset into the project, check every row, and record it"

    package let parameters = [
        StepParameter("from", .string, required: true, "the folder that holds the files, in the project or absolute"),
        StepParameter("to", .string, required: true, "the folder of the project to copy them to"),
        StepParameter("as", .string, required: true, "name of the artifact, such as `datasets/census`"),
        StepParameter(
            "description", .string, "the dataset's description; by default `dataset.json` in the folder itself"),
    ]

    private struct Settings: Decodable {
        var from: String
        var to: RelativePath
        var `as`: ArtifactName
        var description: RelativePath?
    }

    private struct Effects: Codable {
        var artifact: ArtifactName
        var digest: Digest
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        var plan = StepPlan(outs: [settings.to.description], hasEffects: true)
        plan.deps = settings.description.map { [$0.description] } ?? []
        if let inside = try? RelativePath(settings.from) {
            plan.deps.append(inside.description)
        } else {
            plan.external = try ImportStep.fingerprint(of: FileSystem.absolute(settings.from, from: workspace.root))
        }
        return plan
    }

    /// What tells that files outside the project changed: their sizes and times.
    private static func fingerprint(of folder: String) throws -> JSONValue {
        guard FileSystem.isDirectory(folder) else {
            throw MLOpsError(
                .notFound, "there is no folder `\(folder)` to import from", hint: "check it with `ls \(folder)`")
        }
        var files: [String: JSONValue] = [:]
        for name in try FileSystem.list(folder) {
            // A link's target counts, not the link.
            guard let path = FileSystem.resolved(FileSystem.join(folder, name)), let status = try FileStatus.of(path)
            else { continue }
            if status.kind == .file {
                files[name] = ["size": .int(status.size), "modified": .int(status.modificationNanoseconds)]
            } else if status.kind == .directory {
                // A folder may hold very many pictures: one digest stands for all.
                files[name] = ["digest": .string(Digest.of(try listing(of: path, depth: 0)).description)]
            }
        }
        return .object(files)
    }

    /// Names, sizes and times of all that lies in `folder`, in lines.
    private static func listing(of folder: String, depth: Int) throws -> String {
        guard depth < 16 else { return "" }
        var lines = ""
        for name in try FileSystem.list(folder).sorted() {
            guard let path = FileSystem.resolved(FileSystem.join(folder, name)), let status = try FileStatus.of(path)
            else { continue }
            lines += "\(name) \(status.size) \(status.modificationNanoseconds)\n"
            if status.kind == .directory { lines += try listing(of: path, depth: depth + 1) }
        }
        return lines
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let source = FileSystem.absolute(settings.from, from: context.root)
        let dataset =
            try settings.description.map { path in
                DatasetFolder(
                    source,
                    description: try DatasetDescription(file: FileSystem.absolute(path.description, from: context.root))
                )
            } ?? DatasetFolder(source)
        // Everything is read before anything is copied: a bad row leaves nothing behind.
        let metrics = try ImportStep.measure(dataset)
        try ImportStep.copy(dataset, to: FileSystem.absolute(settings.to.description, from: context.root))
        let outcome = try await workspace.add(settings.to, as: settings.as, source: settings.from)
        context.log(
            "\(settings.as): \(Format.count(outcome.content.fileCount, "file")), \(Format.bytes(outcome.logicalBytes))")
        try context.recordEffects(
            try JSONValue(encoding: Effects(artifact: settings.as, digest: outcome.content.digest)))
        try context.writeMetrics(metrics)
    }

    package func holds(_ effects: JSONValue) async throws -> Bool {
        let effects: Effects = try effects.decode()
        return try workspace.pointer(of: effects.artifact)?.content.digest == effects.digest
    }

    /// Reads every split to its end: rows, classes, features.
    private static func measure(_ dataset: DatasetFolder) throws -> JSONValue {
        let (encoding, training) = try DatasetEncoding.fitting(dataset)
        var splits: [String: JSONValue] = [:]
        for split in dataset.description.splits.keys.sorted() {
            let examples = split == "train" ? training : try encoding.examples(of: dataset, split: split)
            var counts: [String: JSONValue] = [:]
            for (index, name) in encoding.classes.enumerated() {
                counts[name] = .int(Int64(examples.labels.count { $0 == index }))
            }
            splits[split] = ["rows": .int(Int64(examples.count)), "classes": .object(counts)]
        }
        return ["features": .int(Int64(training.exampleSize)), "splits": .object(splits)]
    }

    private static func copy(_ dataset: DatasetFolder, to folder: String) throws {
        try FileSystem.createDirectories(folder)
        for path in Set(dataset.description.splits.values.flatMap(\.paths)).sorted() {
            try copy(FileSystem.join(dataset.path, path), to: FileSystem.join(folder, path))
        }
        try dataset.description.write(to: folder)
    }

    /// Copies a file, or a folder of pictures with its sub-folders.
    private static func copy(_ source: String, to target: String) throws {
        guard FileSystem.isDirectory(source) else {
            try FileSystem.createDirectories(FileSystem.parent(of: target))
            return try FileSystem.copy(source, to: target)
        }
        for name in try FileSystem.list(source) where !name.hasPrefix(".") {
            try copy(FileSystem.join(source, name), to: FileSystem.join(target, name))
        }
    }
}
