internal import Basics

/// A Job for each stage, and one that starts them in their order: Kubernetes has no order among Jobs.
///
/// Stages' Jobs are created suspended, so what waits takes no resources and its deadline does not run.
struct KubernetesExport: Sendable {
    let plan: ExportPlan

    private var parts: ContainerParts { ContainerParts(plan: plan) }

    func manifest() throws -> (text: String, notes: [String]) {
        try parts.check()
        var documents = [account, role, roleBinding]
        documents += plan.items.map(job)
        documents.append(coordinator)
        let head = """
            # Made by `mlops pipeline export \(plan.pipeline.file) --to kubernetes`.
            # Run it with `kubectl create -f`, follow it with `kubectl logs -f job/\(name("run"))`, and remove it with
            # `kubectl delete all,sa,role,rolebinding -l \(labelKey)=\(label)`.

            """
        let texts = documents.map { YAMLWriter.text(of: $0, writesBlocks: true) }
        return (head + texts.joined(separator: "---\n"), plan.notes)
    }

    private let labelKey = "app.kubernetes.io/part-of"

    private var label: String { ExportPlan.label(plan.pipeline.name, taken: []) }

    /// Unique to this run, so that two of them do not meet; a pod's name adds six characters to it.
    private func name(_ part: String) -> String { "\(label.prefix(10))-\(plan.options.exchange.prefix(6))-\(part)" }

    private func metadata(_ name: String) -> YAMLValue {
        var fields: [(key: String, value: YAMLValue)] = [("name", .string(name))]
        if let namespace = plan.options.namespace { fields.append(("namespace", .string(namespace))) }
        fields.append(("labels", labels))
        return .map(fields)
    }

    private var labels: YAMLValue {
        ["app.kubernetes.io/managed-by": "mlops", "app.kubernetes.io/part-of": .string(label)]
    }

    // MARK: Stages

    private func job(_ item: ExportPlan.Item) -> YAMLValue {
        var spec: [(key: String, value: YAMLValue)] = [
            ("suspend", true), ("backoffLimit", .int(Int64(item.stage.retries.max))),
        ]
        if let deadline = plan.deadline(item) {
            spec.append(("activeDeadlineSeconds", .int(Int64(deadline.seconds))))
        }
        // What mlops itself ends with was retried in the container as `retries` says. A lost pod starts again in any case,
        // one that was killed, say for its memory, as often as `backoffLimit` says.
        spec.append(
            (
                "podFailurePolicy",
                [
                    "rules": [
                        [
                            "action": "Ignore",
                            "onPodConditions": [["type": "DisruptionTarget", "status": "True"]],
                        ],
                        [
                            "action": "FailJob",
                            "onExitCodes": [
                                "containerName": "stage", "operator": "In",
                                "values": [1, 3, 4, 5, 10, 11, 12, 14, 64],
                            ],
                        ],
                    ]
                ]
            ))
        let container =
            [(key: "name", value: YAMLValue.string("stage"))]
            + parts.container(item, exchange: plan.options.exchange)
        spec.append(
            (
                "template",
                [
                    "metadata": ["labels": labels],
                    "spec": [
                        "restartPolicy": "Never", "automountServiceAccountToken": false,
                        "initContainers": .list([parts.checkout]), "containers": .list([.map(container)]),
                        "volumes": parts.volumes,
                    ],
                ]
            ))
        return [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(name(item.label)), "spec": .map(spec),
        ]
    }

    // MARK: Order

    private var account: YAMLValue {
        ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name("run"))]
    }

    private var role: YAMLValue {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata(name("run")),
            "rules": [
                [
                    "apiGroups": ["batch"], "resources": ["jobs"],
                    "resourceNames": .list(plan.items.map { .string(name($0.label)) }), "verbs": ["get", "patch"],
                ]
            ],
        ]
    }

    private var roleBinding: YAMLValue {
        var subject: [(key: String, value: YAMLValue)] = [
            ("kind", "ServiceAccount"), ("name", .string(name("run"))),
        ]
        if let namespace = plan.options.namespace { subject.append(("namespace", .string(namespace))) }
        return [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata(name("run")),
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": .string(name("run"))],
            "subjects": .list([.map(subject)]),
        ]
    }

    private var coordinator: YAMLValue {
        [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(name("run")),
            "spec": [
                "backoffLimit": 6,
                "template": [
                    "metadata": ["labels": labels],
                    "spec": [
                        "serviceAccountName": .string(name("run")), "restartPolicy": "OnFailure",
                        "containers": [
                            [
                                "name": "run", "image": .string(plan.options.kubectlImage),
                                "command": ["/bin/sh", "-uc"], "args": .list([.string(script)]),
                            ]
                        ],
                    ],
                ],
            ],
        ]
    }

    /// Can start anew at any time: what it knows is in the Jobs themselves.
    var script: String {
        let jobs = plan.items.map { name($0.label) }
        let needs = plan.items.map { item in
            "    \(name(item.label))) echo \"\(item.needs.map(name).joined(separator: " "))\" ;;\n"
        }
        let always = plan.items.filter(\.stage.isAlways).map { "    \(name($0.label))) return 0 ;;\n" }
        return """
            # Starts each Job when those that it needs are complete; one whose needs failed is never started.
            needs() {
              case $1 in
            \(needs.joined().split(separator: "\n").joined(separator: "\n"))
              esac
            }
            is_always() {
              case $1 in
            \((always + ["    *) return 1 ;;\n"]).joined().split(separator: "\n").joined(separator: "\n"))
              esac
            }
            has() { case " $2 " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
            state() {
              kubectl get job "$1" -o 'jsonpath={.spec.suspend} {.status.conditions[?(@.status=="True")].type}'
            }
            start() { kubectl patch job "$1" --type merge --patch '{"spec":{"suspend":false}}' > /dev/null; }
            open="\(jobs.joined(separator: " "))"
            complete=
            failed=
            while [ -n "$open" ]; do
              left=
              for job in $open; do
                now=$(state "$job") || { left="$left $job"; continue; }
                if has Failed "$now"; then echo "$job failed"; failed="$failed $job"; continue; fi
                if has Complete "$now"; then echo "$job is complete"; complete="$complete $job"; continue; fi
                if has true "$now"; then
                  ready=yes
                  for need in $(needs "$job"); do
                    if has "$need" "$complete"; then continue; fi
                    if ! has "$need" "$failed"; then ready=no; elif ! is_always "$job"; then ready=never; break; fi
                  done
                  if [ "$ready" = never ]; then echo "$job is skipped"; failed="$failed $job"; continue; fi
                  if [ "$ready" = yes ] && start "$job"; then echo "$job starts"; fi
                fi
                left="$left $job"
              done
              open=$left
              [ -z "$open" ] || sleep "${MLOPS_INTERVAL:-5}"
            done
            [ -z "$failed" ] || { echo "not complete:$failed"; exit 1; }

            """
    }
}
