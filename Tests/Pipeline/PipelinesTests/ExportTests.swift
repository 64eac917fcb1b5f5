import Basics
import Foundation
import TestSupport
import Testing

@testable import Pipelines

/// Manifests, compared with `Tests/Fixtures/pipelines`, which `Scripts/check-manifests` holds to the systems' own schemas.
struct ExportTests {
    private let spec = """
        version: 1
        name: digits
        image: registry.example.org/mlops:1
        resources: { licences: 2 }
        stages:
          prepare:
            run: [python, prepare.py, "it's 5 o'clock"]
            outs: [build/data]
            resources: { cpus: 0.5, memory: 512MiB }
          train:
            run: python train.py
            deps: [build/data]
            outs: [build/model]
            image: registry.example.org/torch:2
            timeout: 30m
            retries: { max: 2, on: [timeout, 75] }
            resources: { cpus: 4, memory: 8GiB, gpus: 1 }
            env: { EPOCHS: 3, NOTE: "$(date) $HOME" }
            secrets: [WANDB_API_KEY]
          Train:
            run: python other.py
            deps: [build/data]
            outs: [build/other]
            resources: { licences: 1 }
          pages: { run: "true", deps: [build/model], outs: [build/pages] }
          report: { run: "true", needs: [train, pages], always: true, outs: [build/report] }
          never: { run: "true", if: '${git.branch} == "nowhere"', outs: [build/never] }
        """

    private func options(_ change: (inout ExportOptions) -> Void = { _ in }) -> ExportOptions {
        var options = ExportOptions()
        options.repository = "https://git.example.org/team/digits.git"
        options.commit = "0123456789abcdef0123456789abcdef01234567"
        options.exchange = "k3x9q2"
        options.overrides = ["lr=0.1"]
        change(&options)
        return options
    }

    private func pipeline(_ spec: String) throws -> Pipeline { try Bench(spec).load() }

    @Test(arguments: ExportTarget.allCases) func manifestsAreAsTheyWere(_ target: ExportTarget) throws {
        let (text, notes) = try pipeline(spec).manifest(for: target, remote: .s3, options: options())
        try expectSnapshot(text, "export-\(target.rawValue).yaml")
        #expect(notes.contains { $0.contains("stage `never` is left out") }, "\(notes)")
        #expect(notes.contains { $0.contains("`licences`") }, "\(notes)")
        _ = try text.components(separatedBy: "\n---\n").map { try YAML.parse($0, file: target.rawValue) }
    }

    @Test func aFolderRemoteLiesOnAVolume() throws {
        let pipeline = try pipeline(spec)
        let text = try pipeline.manifest(
            for: .argo, remote: .folder("/mnt/remote"), options: options { $0.volumeClaim = "data" }
        ).text
        #expect(text.contains("claimName: data") && text.contains("mountPath: /mnt/remote") && !text.contains("AWS_"))
        for target in ExportTarget.allCases {
            #expect(throws: MLOpsError.self) {
                try pipeline.manifest(for: target, remote: .folder("/mnt/remote"), options: options())
            }
        }
    }

    @Test func aStageWithoutAnImageIsAnError() throws {
        let spec = spec.replacing("image: registry.example.org/mlops:1\nresources", with: "resources")
        #expect {
            try pipeline(spec).manifest(for: .argo, remote: .s3, options: options())
        } throws: { error in
            (error as? MLOpsError)?.message == "stage `prepare` has no container image"
        }
    }

    @Test(arguments: [ExportTarget.argo, .github])
    func whatTheSystemWouldFillInIsRefused(_ target: ExportTarget) throws {
        let spec = spec.replacing("EPOCHS: 3", with: "EPOCHS: \"$${{ secrets.ALL }}\"")
        #expect(throws: MLOpsError.self) {
            try pipeline(spec).manifest(for: target, remote: .s3, options: options())
        }
    }

    @Test(arguments: ExportTarget.allCases) func aSecretIsInNoManifest(_ target: ExportTarget) throws {
        var pipeline = try pipeline(spec)
        pipeline.environment["WANDB_API_KEY"] = "abcdef-123456"
        let text = try pipeline.manifest(for: target, remote: .s3, options: options()).text
        #expect(!text.contains("abcdef-123456"))
        #expect {
            try pipeline.manifest(for: target, remote: .s3, options: options { $0.overrides = ["lr=abcdef-123456"] })
        } throws: {
            "\($0)" == "the manifest would hold the value of a secret"
        }
    }

    @Test func labelsAreNamesOfTheSystems() {
        #expect(ExportPlan.label("train@seed=1,lr=0.1", taken: []) == "train-seed-1-lr-0-1")
        #expect(ExportPlan.label("Train", taken: ["train"]).hasPrefix("train-"))
        #expect(ExportPlan.label(String(repeating: "a", count: 60), taken: []).count == 40)
    }

    /// The script that starts the Jobs, against a `kubectl` that keeps their states in files.
    @Test(arguments: ["", "train"]) func jobsStartInTheirOrder(_ fails: String) throws {
        let folder = try TemporaryFolder()
        let plan = try ExportPlan(try pipeline(spec), remote: .s3, options: options())
        try folder.write("run.sh", KubernetesExport(plan: plan).script)
        try folder.write(
            "kubectl",
            """
            #!/bin/sh
            job=$3
            case $1 in
              get) [ -e "$job" ] || { echo true; exit; }
                case $job in *-\(fails.isEmpty ? "none" : fails)) echo "false Failed" ;; *) echo "false SuccessCriteriaMet Complete" ;; esac ;;
              patch) touch "$job"; echo "$job" >> order ;;
            esac

            """)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "chmod +x kubectl; MLOPS_INTERVAL=0 PATH=.:$PATH sh -u run.sh > out; exit $?"]
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        try process.run()
        process.waitUntilExit()
        let said = try FileSystem.readText(folder("out"))
        #expect(process.terminationStatus == (fails.isEmpty ? 0 : 1), "\(said)")
        let order = try FileSystem.readText(folder("order")).split(separator: "\n").map {
            String($0.dropFirst("digits-k3x9q2-".count))
        }
        #expect(order.first == "prepare" && order.last == "report", "\(order)")
        #expect(order.contains("pages") == fails.isEmpty, "a Job whose needs failed is never started: \(order)")
    }
}
