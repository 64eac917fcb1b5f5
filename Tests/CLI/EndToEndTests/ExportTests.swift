import Basics
import Foundation
import TestSupport
import Testing

/// An exported pipeline, run for real: the manifest's own scripts and commands, each stage in a clone of its own.
@Suite struct ExportTests {
    private let spec = """
        version: 1
        name: shipped
        image: registry.example.org/mlops:1
        stages:
          measure:
            run: 'mkdir -p build; echo "{\\"accuracy\\":0.9}" > build/m.json; cp data/in.txt build/a.txt'
            deps: [data/in.txt]
            outs: [build/a.txt]
            metrics: [build/m.json]
          record: { run: "cat build/a.txt build/a.txt > build/b.txt", deps: [build/a.txt], outs: [build/b.txt] }
          gate: { uses: gate, with: { rules: [ { metric: measure.accuracy, min: 0.5 } ], report: build/gate.json } }
          last: { run: "cp build/b.txt build/c.txt", deps: [build/b.txt], needs: [gate], outs: [build/c.txt] }
        """

    private func project() throws -> (Project, TemporaryFolder) {
        let project = try Project()
        let remote = try TemporaryFolder()
        try project.mlops("remote", "add", "origin", remote.path).expectSuccess()
        try project.folder.write("data/in.txt", "hello\n")
        try project.folder.write("pipelines/p.yaml", spec)
        try project.commit("A pipeline")
        return (project, remote)
    }

    private func manifest(_ project: Project, _ target: String, _ remote: TemporaryFolder) throws -> [String] {
        let result = try project.mlops(
            "pipeline", "export", "pipelines/p.yaml", "--to", target, "--repository", project.path, "--volume", "data")
        try result.expectSuccess()
        #expect(result.output.contains("mountPath: \(remote.path)"), "\(result.all)")
        return result.output.components(separatedBy: "\n")
    }

    /// The lists of words below `command:` that begin with `mlops`.
    private func commands(in lines: [String]) -> [[String]] {
        var commands: [[String]] = []
        for (index, line) in lines.enumerated() where line.trimmingCharacters(in: .whitespaces) == "command:" {
            let words = lines[(index + 1)...].map { $0.trimmingCharacters(in: .whitespaces) }
                .prefix { $0.hasPrefix("- ") }.map { String($0.dropFirst(2)).replacing("\"", with: "") }
            if words.first == "mlops" { commands.append(words) }
        }
        return commands
    }

    /// The text of the first block of `args`: the script that clones.
    private func checkoutScript(in lines: [String]) throws -> String {
        let start = try #require(lines.firstIndex { $0.contains("# A token in the Secret") })
        let indent = lines[start].prefix { $0 == " " }.count
        return lines[start...].prefix { $0.isEmpty || $0.prefix(indent).allSatisfy { $0 == " " } }
            .map { String($0.dropFirst(indent)) }.joined(separator: "\n")
    }

    @Test(arguments: ["kubernetes", "argo"]) func itsCommandsRunInFreshClones(_ target: String) throws {
        let (project, remote) = try project()
        let lines = try manifest(project, target, remote)
        let script = try checkoutScript(in: lines)
        let commit = try Program.run("git", ["rev-parse", "HEAD"], in: project.path).output.prefix(40)
        let commands = commands(in: lines)
        #expect(commands.count == 4, "\(commands)")
        for command in commands {
            let clone = try TemporaryFolder()
            try Program.run(
                "sh", ["-euc", script.replacing("/workspace", with: clone("workspace"))], in: clone.path,
                environment: ["REPOSITORY": project.path, "COMMIT": String(commit)]
            ).expectSuccess()
            let words = command.dropFirst().map { $0.replacing("{{workflow.uid}}", with: "uid-1") }
            let result = try Program.mlops(words, in: clone("workspace"))
            #expect(result.exitCode == 0, "\(words) \(result.all)")
            if words.contains("last") {
                #expect(try FileSystem.readText(clone("workspace/build/c.txt")) == "hello\nhello\n")
                #expect(!FileSystem.exists(clone("workspace/build/a.txt")), "only what the stage reads is brought")
            }
        }
    }

    @Test func aStageWhosePredecessorHasHandedOverNothingFails() throws {
        let (project, _) = try project()
        let result = try project.mlops(
            "pipeline", "run", "pipelines/p.yaml", "--only", "record", "--exchange", "run-1")
        #expect(result.exitCode == 1 && result.error.contains("waits for `measure`"), "\(result.all)")
        let alone = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--only", "record")
        #expect(alone.exitCode == 64 && alone.error.contains("--exchange"), "\(alone.all)")
        let name = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--only", "measure", "--exchange", "../x")
        #expect(name.exitCode == 64 && name.error.contains("is not a name"), "\(name.all)")
    }

    @Test func servicesThatDoNotSeeTheRemoteAreRefused() throws {
        let (project, _) = try project()
        for target in ["github", "gitlab"] {
            let result = try project.mlops("pipeline", "export", "pipelines/p.yaml", "--to", target)
            #expect(result.exitCode == 64 && result.error.contains("do not see"), "\(result.all)")
        }
    }
}
