import Basics
import Foundation
import TestSupport
import Testing

/// Help, as a user asks for it; `RECORD_SNAPSHOTS=1` rewrites Documentation/cli.md.
@Suite struct HelpTests {
    static let verbs: [[String]] = [
        ["init"], ["add"], ["status"], ["diff"], ["checkout"], ["log"], ["fsck"], ["push"], ["pull"],
        ["get"],
        ["remote", "add"],
        ["remote", "list"], ["remote", "remove"], ["pipeline", "run"], ["pipeline", "status"], ["pipeline", "graph"],
        ["pipeline", "lint"], ["pipeline", "steps"], ["pipeline", "export"], ["pipeline", "schema"],
        ["pipeline", "import-dvc"], ["pipeline", "comment"], ["run", "list"],
        ["run", "show"], ["run", "diff"], ["run", "compare"], ["run", "reproduce"], ["run", "rm"],
        ["registry", "push"], ["registry", "pull"], ["registry", "list"],
        ["registry", "show"], ["registry", "log"], ["registry", "promote"], ["registry", "rollback"],
        ["recipe", "list"], ["recipe", "show"], ["train"],
        ["model", "inspect"], ["model", "convert"], ["model", "bench"], ["install"],
        ["uninstall"], ["import-dvc"], ["import-lfs"], ["completion"],
    ]

    @Test func everyVerbHasHelpWithAnExampleAsDocumented() throws {
        var text = "# The command line\n\nMade from the help of the program itself.\n\n```\n"
        let root = try Program.mlops(["--help"], in: "/tmp")
        try root.expectSuccess()
        text += root.output + "```\n"
        for verb in HelpTests.verbs {
            let help = try Program.mlops(verb + ["--help"], in: "/tmp")
            try help.expectSuccess()
            #expect(help.output.contains("Example"), "mlops \(verb.joined(separator: " "))")
            text += "\n## mlops \(verb.joined(separator: " "))\n\n```\n\(help.output)```\n"
        }
        try compare(text, with: "cli.md")
    }

    /// The whole pipelines that the pages show: blocks of YAML that name a version and stages.
    @Test func everyPipelineOfThePagesIsRight() throws {
        let project = try Project()
        try project.folder.write("params.yaml", "seed: 1\ntop: 3\ntrain: { epochs: 2, lr: 0.1 }\n")
        let root = FileSystem.absolute("\(#filePath)/../../../..")
        let pages = try FileSystem.list(root + "/Documentation").filter { $0.hasSuffix(".md") }
        var count = 0
        for page in pages.map({ "Documentation/" + $0 }) + ["README.md"] {
            let parts = try FileSystem.readText(FileSystem.join(root, page)).components(separatedBy: "```")
            for index in stride(from: 1, to: parts.count, by: 2) {
                let block = parts[index]
                guard block.hasPrefix("yaml\nversion: 1\n"), block.contains("\nstages:\n") else { continue }
                try project.folder.write("page.yaml", String(block.dropFirst("yaml\n".count)))
                let lint = try project.mlops("pipeline", "lint", "page.yaml")
                #expect(lint.exitCode == 0, "\(page): \(lint.all)")
                count += 1
            }
        }
        #expect(count >= 3, "the pages have fewer pipelines than they had")
    }

    @Test func everyBuiltInStepIsDocumentedAsItSaysItself() throws {
        let steps = try Project().mlops("pipeline", "steps")
        try steps.expectSuccess()
        let text = """
            # The built-in steps

            What `uses:` can name, and what the stage's `with:` may hold; `mlops pipeline steps` prints it.

            ```
            \(steps.output)```

            """
        try compare(text, with: "steps.md")
    }

    private func compare(_ text: String, with name: String) throws {
        let path = FileSystem.absolute("\(#filePath)/../../../../Documentation/\(name)")
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try FileSystem.replace(path, with: Array(text.utf8))
        }
        #expect(try FileSystem.readText(path) == text, "RECORD_SNAPSHOTS=1 rewrites it")
    }

    @Test func versionIsOneLine() throws {
        let result = try Program.mlops(["--version"], in: "/tmp")
        #expect(result.exitCode == 0 && result.output.split(separator: "\n").count == 1)
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionScriptsNameEveryVerb(_ shell: String) throws {
        let result = try Program.mlops(["completion", shell], in: "/tmp")
        try result.expectSuccess()
        for verb in ["checkout", "pipeline", "registry", "promote"] { #expect(result.output.contains(verb)) }
        let folder = try TemporaryFolder()
        try folder.write("script", result.output)
        if shell == "bash" { try Program.run("bash", ["-n", "script"], in: folder.path).expectSuccess() }
    }
}
