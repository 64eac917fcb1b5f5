import Basics
import Foundation
import Testing

/// Help, as a user asks for it; `RECORD_SNAPSHOTS=1` rewrites Documentation/cli.md.
@Suite struct HelpTests {
    static let verbs: [[String]] = [
        ["init"], ["add"], ["status"], ["diff"], ["checkout"], ["log"], ["fsck"], ["push"], ["pull"],
        ["remote", "add"],
        ["remote", "list"], ["remote", "remove"], ["pipeline", "run"], ["pipeline", "status"], ["pipeline", "graph"],
        ["pipeline", "lint"], ["pipeline", "steps"], ["registry", "push"], ["registry", "pull"], ["registry", "list"],
        ["registry", "show"], ["registry", "log"], ["registry", "promote"], ["registry", "rollback"], ["completion"],
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
        let path = FileSystem.absolute("\(#filePath)/../../../../Documentation/cli.md")
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
        if shell == "bash" {
            try Program.run("bash", ["-n", "/dev/stdin"], in: "/tmp").expectSuccess()
        }
    }
}
