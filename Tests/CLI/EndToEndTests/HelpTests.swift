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
        ["registry", "show"], ["registry", "log"], ["registry", "promote"], ["registry", "rollback"], ["install"],
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
