internal import Basics

/// A workflow of GitHub: a job for each stage, in a container on a runner.
struct GitHubExport: Sendable {
    let plan: ExportPlan

    func manifest() throws -> (text: String, notes: [String]) {
        try plan.checkRemoteIsReachable(from: "GitHub's runners")
        let jobs = try plan.items.map { (key: $0.label, value: try job($0)) }
        let document: YAMLValue = [
            "name": .string(plan.pipeline.name), "on": ["workflow_dispatch": [:], "push": [:]],
            "permissions": ["contents": "read"],
            // Stages of two runs have their own results, so nothing need wait.
            "jobs": .map(jobs),
        ]
        let head = """
            # Made by `mlops pipeline export \(plan.pipeline.file) --to github`: keep it in `.github/workflows/`.

            """
        var notes = plan.notes
        for item in plan.items where !item.stage.resources.isEmpty {
            notes.append("`resources` of stage `\(item.stage.name)` are what the runner `\(plan.options.runner)` has")
        }
        return (head + YAMLWriter.text(of: document, writesBlocks: true), notes)
    }

    private func job(_ item: ExportPlan.Item) throws -> YAMLValue {
        var fields: [(key: String, value: YAMLValue)] = [
            ("name", .string(try literal(item.stage.name, of: item))), ("runs-on", .string(plan.options.runner)),
            ("container", ["image": .string(item.image)]),
        ]
        if !item.needs.isEmpty { fields.append(("needs", .list(item.needs.map { .string($0) }))) }
        if item.stage.isAlways { fields.append(("if", "${{ !cancelled() }}")) }
        if let deadline = plan.deadline(item) {
            fields.append(("timeout-minutes", .int(Int64((deadline.seconds / 60).rounded(.up)))))
        }
        var variables = try plan.environment(item).map { variable in
            (key: variable.name, value: YAMLValue.string(try literal(variable.value, of: item)))
        }
        variables += (item.stage.secrets.map(\.name) + plan.remote.credentials).map { name in
            (key: name, value: .string("${{ secrets.\(name) }}"))
        }
        if !variables.isEmpty { fields.append(("env", .map(variables))) }
        let command = plan.shellLine(item, exchange: "\"github-$GITHUB_RUN_ID\"")
        fields.append(
            (
                "steps",
                [
                    ["uses": "actions/checkout@v4"],
                    // git in the container is another user than the one who cloned.
                    ["run": .string("git config --global --add safe.directory \"$GITHUB_WORKSPACE\"")],
                    ["name": .string("run"), "run": .string(try literal(command, of: item))],
                ]
            ))
        return .map(fields)
    }

    /// `text` as it is: GitHub fills in `${{ … }}` wherever it stands.
    private func literal(_ text: String, of item: ExportPlan.Item) throws -> String {
        guard text.contains("${{") else { return text }
        throw MLOpsError(
            .usage,
            "stage `\(item.stage.name)` has the value `\(printable(shortened(text)))`, which GitHub would fill in",
            hint: "write it into a file that the stage reads", at: item.stage.location)
    }
}

extension ExportPlan {
    /// The command for a shell; `exchange` is a word of the shell already.
    func shellLine(_ item: Item, exchange: String) -> String {
        command(item, exchange: "").map { $0.isEmpty ? exchange : ExportPlan.quoted($0) }.joined(separator: " ")
    }

    /// `word` for a shell of any kind.
    static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "_./:=@%+,-".utf8.contains(byte)
        }
        return isPlain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }

    /// - Throws: kind `.usage` if the remote is a folder of this machine.
    func checkRemoteIsReachable(from whom: String) throws {
        guard case .folder(let path) = remote else { return }
        throw MLOpsError(
            .usage, "the remote is the folder `\(path)`, which \(whom) do not see",
            hint: "add an S3 remote with `mlops remote add`, and name it with `--remote`")
    }
}
