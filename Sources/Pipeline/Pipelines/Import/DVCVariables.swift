internal import Basics

/// The `vars` and the parameter files of a `dvc.yaml`.
struct DVCVariables {
    /// The repository's folder, absolute.
    let root: String
    /// Files that can be merged, by their paths in the repository.
    private(set) var files: [LocatedText] = []
    /// What `vars` defines in `dvc.yaml` itself.
    private(set) var inline: [YAMLEntry] = []
    private(set) var parameters: ParameterSet

    init(root: String, at location: SourceLocation) {
        self.root = root
        parameters = ParameterSet(empty: location)
    }

    /// Adds a file; nil if that worked, else why its values cannot be used.
    mutating func add(_ path: String, at location: SourceLocation) -> String? {
        if files.contains(where: { $0.text == path }) { return nil }
        guard ["yaml", "yml", "json"].contains(where: { path.hasSuffix("." + $0) }) else {
            return "only YAML and JSON files can be read"
        }
        return merge(path, at: location)
    }

    private mutating func merge(_ path: String, at location: SourceLocation) -> String? {
        let file = LocatedText(text: path, location: location)
        var diagnostics = Diagnostics()
        let all = ParameterSet.read(files + [file], folder: root, pipeline: path, into: &diagnostics)
        if let error = diagnostics.errors.first { return error.description }
        let own = YAMLNode(.map(inline), at: location)
        guard let merged = try? ParameterSet.merged(all.root, own, path: "") else {
            return "it sets a value that `vars` sets, too"
        }
        files.append(file)
        parameters = ParameterSet(root: merged)
        return nil
    }

    /// Adds values; nil if that worked, else why not.
    mutating func add(_ entries: [YAMLEntry], at location: SourceLocation) -> String? {
        do {
            let node = YAMLNode(.map(entries), at: location)
            let own = try ParameterSet.merged(YAMLNode(.map(inline), at: location), node, path: "")
            parameters = ParameterSet(root: try ParameterSet.merged(parameters.root, node, path: ""))
            if case .map(let entries) = own.content { inline = entries }
            return nil
        } catch {
            return (error as? MLOpsError)?.message ?? "\(error)"
        }
    }
}
