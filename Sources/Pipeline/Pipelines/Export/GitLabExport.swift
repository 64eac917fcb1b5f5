internal import Basics

/// A pipeline of GitLab: a job for each stage, connected by `needs`.
struct GitLabExport: Sendable {
    let plan: ExportPlan

    /// Names that mean something else at the top of the file.
    private static let reserved = [
        "image", "services", "stages", "types", "before_script", "after_script", "variables", "cache", "include",
        "pages", "default", "workflow", "spec", "true", "false", "nil",
    ]

    func manifest() throws -> (text: String, notes: [String]) {
        try plan.checkRemoteIsReachable(from: "GitLab's runners")
        let depth = plan.items.map(\.depth).max() ?? 1
        var entries: [(key: String, value: YAMLValue)] = [
            ("stages", .list((1...depth).map { .string("step \($0)") }))
        ]
        for item in plan.items { entries.append((name(item.label), job(item))) }
        let head = """
            # Made by `mlops pipeline export \(plan.pipeline.file) --to gitlab`: `include` it in `.gitlab-ci.yml`.
            # Secrets\(plan.remote.credentials.isEmpty ? "" : " and the remote's credentials") are variables of the project, masked: \
            \(secrets.joined(separator: ", ")).

            """
        return (head + YAMLWriter.text(of: .map(entries), writesBlocks: true), plan.notes)
    }

    private var secrets: [String] {
        Set(plan.items.flatMap { $0.stage.secrets.map(\.name) } + plan.remote.credentials).sorted()
    }

    private func name(_ label: String) -> String { GitLabExport.reserved.contains(label) ? "stage-\(label)" : label }

    private func job(_ item: ExportPlan.Item) -> YAMLValue {
        var fields: [(key: String, value: YAMLValue)] = [
            ("stage", .string("step \(item.depth)")), ("image", ["name": .string(item.image), "entrypoint": [""]]),
            ("needs", .list(item.needs.map { ["job": .string(name($0)), "artifacts": false] })),
        ]
        if item.stage.isAlways { fields.append(("when", "always")) }
        if let deadline = plan.deadline(item) {
            fields.append(("timeout", .string("\(Int((deadline.seconds / 60).rounded(.up))) minutes")))
        }
        // A job that its runner lost; what failed in it was retried there as `retries` says.
        fields.append(
            (
                "retry",
                [
                    "max": .int(Int64(min(2, max(1, item.stage.retries.max)))),
                    "when": ["runner_system_failure", "scheduler_failure", "stuck_or_timeout_failure"],
                ]
            ))
        var variables = plan.environment(item).map { variable in
            // GitLab fills in `$NAME` in values, unless it is told not to.
            (key: variable.name, value: ["value": .string(variable.value), "expand": false] as YAMLValue)
        }
        if let cpus = item.stage.resources.cpus {
            variables.append(("KUBERNETES_CPU_REQUEST", .string(ContainerParts.cpus(cpus))))
        }
        if let memory = item.stage.resources.memory {
            let text = "\(max(1, (memory.bytes + 1_048_575) >> 20))Mi"
            variables.append(("KUBERNETES_MEMORY_REQUEST", .string(text)))
            variables.append(("KUBERNETES_MEMORY_LIMIT", .string(text)))
        }
        if !variables.isEmpty { fields.append(("variables", .map(variables))) }
        fields.append(("script", .list([.string(plan.shellLine(item, exchange: "\"gitlab-$CI_PIPELINE_ID\""))])))
        return .map(fields)
    }
}
