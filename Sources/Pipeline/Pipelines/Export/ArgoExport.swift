internal import Basics

/// A Workflow of Argo: a DAG with a template for each stage.
struct ArgoExport: Sendable {
    let plan: ExportPlan

    private var parts: ContainerParts { ContainerParts(plan: plan) }

    func manifest() throws -> (text: String, notes: [String]) {
        try parts.check()
        for item in plan.items { try checkTexts(of: item) }
        let label = ExportPlan.label(plan.pipeline.name, taken: [])
        var metadata: [(key: String, value: YAMLValue)] = [("generateName", .string("\(label)-"))]
        if let namespace = plan.options.namespace { metadata.append(("namespace", .string(namespace))) }
        metadata.append(
            (
                "labels",
                ["app.kubernetes.io/managed-by": "mlops", "app.kubernetes.io/part-of": .string(label)]
            ))
        let document: YAMLValue = [
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": .map(metadata),
            "spec": [
                "entrypoint": "pipeline", "volumes": parts.volumes,
                "templates": .list([dag] + plan.items.map(template)),
            ],
        ]
        let head = """
            # Made by `mlops pipeline export \(plan.pipeline.file) --to argo`; run it with `argo submit --watch`.

            """
        return (head + YAMLWriter.text(of: document, writesBlocks: true), plan.notes)
    }

    /// Argo fills in `{{…}}` wherever it stands.
    private func checkTexts(of item: ExportPlan.Item) throws {
        let texts = plan.environment(item).map(\.value) + plan.options.overrides
        guard let text = texts.first(where: { $0.contains("{{") }) else { return }
        throw MLOpsError(
            .usage,
            "stage `\(item.stage.name)` has the value `\(printable(shortened(text)))`, which Argo would fill in",
            hint: "write it into a file that the stage reads", at: item.stage.location)
    }

    private var dag: YAMLValue {
        let tasks = plan.items.map { item -> YAMLValue in
            var task: [(key: String, value: YAMLValue)] = [
                ("name", .string(item.label)), ("template", .string(item.label)),
            ]
            if !item.needs.isEmpty {
                let conditions = item.needs.map { need in
                    item.stage.isAlways
                        ? "(\(["Succeeded", "Failed", "Errored", "Skipped", "Omitted"].map { "\(need).\($0)" }.joined(separator: " || ")))"
                        : "\(need).Succeeded"
                }
                task.append(("depends", .string(conditions.joined(separator: " && "))))
            }
            return .map(task)
        }
        // Stages that do not wait for a failed one still run, as with `--keep-going`.
        return ["name": "pipeline", "dag": ["failFast": false, "tasks": .list(tasks)]]
    }

    private func template(_ item: ExportPlan.Item) -> YAMLValue {
        var fields: [(key: String, value: YAMLValue)] = [("name", .string(item.label))]
        if let deadline = plan.deadline(item) {
            // An `IntOrString`, which Argo's own clients write as a text.
            fields.append(("activeDeadlineSeconds", .string(String(Int(deadline.seconds)))))
        }
        // A pod that was lost; what failed in it was retried there as `retries` says.
        fields.append(
            (
                "retryStrategy",
                ["limit": .string(String(max(1, item.stage.retries.max))), "retryPolicy": "OnError"]
            ))
        fields.append(("initContainers", .list([parts.checkout])))
        fields.append(("container", .map(parts.container(item, exchange: "{{workflow.uid}}"))))
        return .map(fields)
    }
}
