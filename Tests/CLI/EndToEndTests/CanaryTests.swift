import Basics
import Foundation
import TestSupport
import Testing

/// A secret with a value that is found wherever it goes, followed through a whole run: training, gate, card, publication,
/// reports, results on a remote, and a second clone that takes them.
@Suite struct CanaryTests {
    private static let canary = "c4n4ry/\"S3cr3t+val ue&é=%x"

    private static let spec = """
        version: 1
        name: guarded
        include: [pipelines/census.yaml]
        stages:
          leak:
            run: |
              echo "plain $TOKEN"
              printf %s "$TOKEN" | base64; printf x%s "$TOKEN" | base64 >&2
              printf xy%s "$TOKEN" | base64 | tr -d '\\n'; echo
              printf %s "$TOKEN" | od -An -tx1 | tr -d ' \\n'; echo
              printf 'c4n4ry/"S3c'; sleep 0.05; printf 'r3t+val ue&é=%%x\\n'
              echo "{\\"accuracy\\": 1}" > build/leak.json
              touch build/up; while [ ! -e build/go ]; do sleep 0.02; done
            secrets: [TOKEN]
            metrics: [build/leak.json]
          after: { run: "env > build/env.txt", needs: [leak], outs: [build/env.txt] }
          fails: { run: "echo $TOKEN; echo \\"no: $TOKEN\\" >&2; exit 3", secrets: [TOKEN], needs: [leak] }
          writes: { run: "echo $TOKEN > build/token.txt; rm -f build/old", secrets: [TOKEN], needs: [fails], always: true }
        """

    /// The value as it is and as it is written elsewhere, as bytes.
    private static let forms: [[UInt8]] = {
        let plain = Array(canary.utf8)
        var forms = [plain]
        // Of base64, the digits that hold bits of the value alone, at each of the three places that it can begin at.
        for before in 0..<3 {
            let text = Data([UInt8](repeating: 0x78, count: before) + plain).base64EncodedString()
            let digits = Array(text.utf8).dropFirst(before == 0 ? 0 : before + 1)
            forms.append(Array(digits.prefix((plain.count - 2) / 3 * 4 - 2)))
        }
        for allowed in [CharacterSet.alphanumerics, .alphanumerics.union(.init(charactersIn: "-._~/"))] {
            let ascii = allowed.subtracting(.init(charactersIn: "é"))
            let text = canary.addingPercentEncoding(withAllowedCharacters: ascii)
            forms.append(Array((text ?? "").utf8))
            forms.append(Array((text ?? "").replacing("%20", with: "+").utf8))
        }
        forms.append(Array(JSONValue.string(canary).canonicalText.utf8).dropFirst().dropLast())
        forms.append(Array(plain.map { String(format: "%02x", $0) }.joined().utf8))
        return forms
    }()

    private static func hides(_ bytes: [UInt8]) -> Bool {
        let data = Data(bytes)
        return forms.allSatisfy { data.range(of: Data($0)) == nil }
    }

    /// The files below `folder` that hold it.
    private func findings(below folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).filter { path in
            let full = FileSystem.join(folder, path)
            return try FileStatus.of(full)?.kind == .file && !CanaryTests.hides(try FileSystem.read(full))
        }
    }

    @Test func theFormsAreFound() {
        for before in ["", "x", "xy"] {
            let text = Data((before + CanaryTests.canary + "z").utf8).base64EncodedString()
            #expect(!CanaryTests.hides(Array("<\(text)>".utf8)), "\(before)")
        }
        #expect(!CanaryTests.hides(Array("a \(CanaryTests.canary) b".utf8)))
        #expect(CanaryTests.hides(Array("c4n4ry".utf8)))
    }

    @Test func aSecretIsFoundNowhere() async throws {
        let shared = try TemporaryFolder()
        let project = try ExampleTests.project()
        try project.folder.write("pipelines/guarded.yaml", CanaryTests.spec)
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        try project.commit("Guarded")
        let secret = ["TOKEN": CanaryTests.canary, "GITHUB_STEP_SUMMARY": project.folder("build/summary.md")]
        let reports = "junit=build/j.xml,github,gitlab=build,json=build/run.json"
        let run = Task.detached { [path = project.path] in
            try Program.mlops(
                [
                    "pipeline", "run", "pipelines/guarded.yaml", "--set", "train.epochs=1", "--keep-going", "--verbose",
                    "--report", reports,
                ], in: path, environment: secret)
        }
        try Program.wait("the stage has the secret") { FileSystem.exists(project.folder("build/up")) }
        // What `ps` shows to everybody.
        for id in try FileSystem.list("/proc") where Int(id) != nil {
            let words = (try? FileSystem.read("/proc/\(id)/cmdline")) ?? []
            #expect(CanaryTests.hides(words), "process \(id)")
        }
        try project.folder.write("build/go", "")
        let result = try await run.value
        #expect(result.exitCode == 1 && result.all.contains("plain ***"), "\(result.all)")
        #expect(result.error.contains("no: ***"), "\(result.all)")
        #expect(result.all.contains("build/token.txt"), "a file that no `outs` name is told: \(result.all)")
        var told = [result]
        for arguments in [
            ["pipeline", "comment", "build/run.json"], ["run", "show", "latest", "--json"], ["push", "--run-cache"],
            ["pipeline", "status", "pipelines/guarded.yaml", "--json"], ["run", "list", "--json"],
        ] {
            told.append(try Program.mlops(arguments, in: project.path, environment: secret))
        }
        for result in told { #expect(CanaryTests.hides(Array(result.all.utf8)), "\(result.all)") }
        // It is a file that no `outs` name, and its stage's own affair.
        try FileSystem.removeFile(project.folder("build/token.txt"))
        #expect(try findings(below: project.path) == [])
        #expect(try findings(below: shared.path) == [])
        #expect(FileSystem.exists(project.folder("models/census/README.md")), "\(result.all)")

        try project.commit("What was made")

        // The objects as they were before they were compressed: another clone unpacks all of them.
        let elsewhere = try TemporaryFolder()
        try Program.run("git", ["clone", "-q", project.path, elsewhere("clone")], in: elsewhere.path).expectSuccess()
        let clone = elsewhere("clone")
        try Program.mlops(["pull", "--run-cache"], in: clone).expectSuccess()
        let again = try Program.mlops(
            [
                "pipeline", "run", "pipelines/guarded.yaml", "--set", "train.epochs=1", "--stage", "card", "--stage",
                "after",
            ], in: clone, environment: ["TOKEN": CanaryTests.canary])
        #expect(again.exitCode == 0 && again.output.contains("0 ran"), "\(again.all)")
        #expect(try findings(below: elsewhere.path) == [])
    }
}
