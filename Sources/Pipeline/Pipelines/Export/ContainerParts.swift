internal import Basics

/// The parts of a pod that Kubernetes and Argo write in the same way.
struct ContainerParts: Sendable {
    let plan: ExportPlan

    static let workspace = "/workspace"

    /// - Throws: kind `.usage` where a container could not reach the project or the remote.
    func check() throws {
        if plan.options.repository == nil || plan.options.commit == nil {
            throw MLOpsError(
                .usage, "the containers do not know where to clone the project from",
                hint: "commit, add a git remote named `origin`, or give `--repository URL`")
        }
        if case .folder(let path) = plan.remote, plan.options.volumeClaim == nil {
            throw MLOpsError(
                .usage, "the remote is the folder `\(path)`, which the containers do not see",
                hint: "use an S3 remote, or give with `--volume` the claim of a volume that holds the folder")
        }
    }

    /// Clones the project into the pod's own folder.
    var checkout: YAMLValue {
        let script = """
            # A token in the Secret opens a private repository.
            [ -z "${GIT_TOKEN:-}" ] || git config --global credential.helper \\
              '!f() { echo username=x-access-token; echo "password=$GIT_TOKEN"; }; f'
            git clone --quiet --no-checkout "$REPOSITORY" \(ContainerParts.workspace)
            git -C \(ContainerParts.workspace) -c advice.detachedHead=false checkout --quiet "$COMMIT"

            """
        return [
            "name": "checkout", "image": .string(plan.options.gitImage), "command": ["/bin/sh", "-euc"],
            "args": .list([.string(script)]),
            "env": [
                ["name": "REPOSITORY", "value": .string(escaped(plan.options.repository ?? ""))],
                ["name": "COMMIT", "value": .string(plan.options.commit ?? "")],
                secretVariable("GIT_TOKEN", isOptional: true),
            ],
            "volumeMounts": [["name": "workspace", "mountPath": .string(ContainerParts.workspace)]],
        ]
    }

    /// The fields of a container that runs a stage, `name` not among them.
    func container(_ item: ExportPlan.Item, exchange: String) -> [(key: String, value: YAMLValue)] {
        var mounts: [YAMLValue] = [["name": "workspace", "mountPath": .string(ContainerParts.workspace)]]
        if case .folder(let path) = plan.remote { mounts.append(["name": "remote", "mountPath": .string(path)]) }
        var variables = plan.environment(item).map { variable -> YAMLValue in
            ["name": .string(variable.name), "value": .string(escaped(variable.value))]
        }
        variables += item.stage.secrets.map { secretVariable($0.name, isOptional: false) }
        variables += plan.remote.credentials.map { secretVariable($0, isOptional: true) }
        var fields: [(key: String, value: YAMLValue)] = [
            ("image", .string(item.image)),
            ("command", .list(plan.command(item, exchange: exchange).map { .string(escaped($0)) })),
            ("workingDir", .string(ContainerParts.workspace)),
        ]
        if !variables.isEmpty { fields.append(("env", .list(variables))) }
        if let resources = resources(item.stage.resources) { fields.append(("resources", resources)) }
        fields.append(("volumeMounts", .list(mounts)))
        return fields
    }

    /// The volumes of a pod: the project, and the folder remote where there is one.
    var volumes: YAMLValue {
        var volumes: [YAMLValue] = [["name": "workspace", "emptyDir": [:]]]
        if case .folder = plan.remote, let claim = plan.options.volumeClaim {
            volumes.append(["name": "remote", "persistentVolumeClaim": ["claimName": .string(claim)]])
        }
        return .list(volumes)
    }

    private func secretVariable(_ name: String, isOptional: Bool) -> YAMLValue {
        var reference: [(key: String, value: YAMLValue)] = [
            ("name", .string(plan.options.secret)), ("key", .string(name)),
        ]
        if isOptional { reference.append(("optional", true)) }
        return ["name": .string(name), "valueFrom": ["secretKeyRef": .map(reference)]]
    }

    private func resources(_ resources: Resources) -> YAMLValue? {
        var requests: [(key: String, value: YAMLValue)] = []
        var limits: [(key: String, value: YAMLValue)] = []
        if let cpus = resources.cpus { requests.append(("cpu", .string(ContainerParts.cpus(cpus)))) }
        if let memory = resources.memory {
            let text = "\(max(1, (memory.bytes + 1_048_575) >> 20))Mi"
            requests.append(("memory", .string(text)))
            limits.append(("memory", .string(text)))
        }
        if let gpus = resources.gpus, gpus > 0 { limits.append(("nvidia.com/gpu", .string(String(gpus)))) }
        var fields: [(key: String, value: YAMLValue)] = []
        if !requests.isEmpty { fields.append(("requests", .map(requests))) }
        if !limits.isEmpty { fields.append(("limits", .map(limits))) }
        return fields.isEmpty ? nil : .map(fields)
    }

    /// `2`, `500m`.
    static func cpus(_ count: Double) -> String {
        count == count.rounded() ? String(Int(count)) : "\(Int((count * 1000).rounded(.up)))m"
    }

    /// `$(NAME)` means a variable in a pod's texts.
    private func escaped(_ text: String) -> String { text.replacing("$(", with: "$$(") }
}
