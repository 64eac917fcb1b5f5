import Basics
import Foundation
import TestSupport
import Synchronization
import Testing

@testable import Pipelines

struct SecretTests {
    /// Has characters that JSON, URLs and base64 treat in their own ways.
    static let canary = "c4nary/\"S3cret+val ue=é%"

    private func masked(_ text: String, _ secrets: [String] = [canary]) -> String { SecretMasker(secrets).masked(text) }

    @Test func aSecretIsHiddenWhereverItStands() {
        #expect(masked("a \(Self.canary) b") == "a *** b")
        #expect(masked("\(Self.canary)\(Self.canary)x") == "***x")
        #expect(masked("nothing here") == "nothing here")
        #expect(masked("") == "")
        #expect(masked("almost c4nary/ and c4nary/\"S3") == "almost c4nary/ and c4nary/\"S3")
    }

    @Test(arguments: 0..<6) func itsBase64IsHiddenWhateverIsAroundIt(_ before: Int) {
        for after in 0..<4 {
            let text = String(repeating: "x", count: before) + Self.canary + String(repeating: "y", count: after)
            for isWebSafe in [false, true] {
                var encoded = Data(text.utf8).base64EncodedString()
                if isWebSafe {
                    encoded = encoded.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
                }
                let result = masked("token=\(encoded);")
                #expect(result.contains("***"))
                // Of a secret of 26 bytes no run of 6 digits may be left that holds its bits alone.
                #expect(result.utf8.count < "token=***;".utf8.count + 4 * (before + after) / 3 + 12)
            }
        }
    }

    @Test func encodedFormsAreHidden() throws {
        let plain = "k€y w/th+all=that&more"
        let forms = [
            plain.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "",
            plain.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~/")))
                ?? "",
            plain.utf8.map { String(format: "%02x", $0) }.joined(),
            plain.utf8.map { String(format: "%02X", $0) }.joined(),
            "k\\u20acy w/th+all=that&more", "k\\u20ACy w\\/th+all=that&more", "k€y w/th+all=that&amp;more",
        ]
        for form in forms { #expect(masked("<\(form)>", [plain]) == "<***>", "\(form)") }
        #expect(masked(JSONValue.string(Self.canary).canonicalText) == "\"***\"")
    }

    @Test func aSecretInPiecesIsHidden() {
        let text = Array("head \(Self.canary) and again \(Self.canary)\ntail".utf8)
        for size in 1...9 {
            var stream = SecretMasker([Self.canary]).stream()
            var output: [UInt8] = []
            for start in stride(from: 0, to: text.count, by: size) {
                Array(text[start..<min(start + size, text.count)]).withUnsafeBytes { stream?.append($0, to: &output) }
            }
            stream?.finish(&output)
            #expect(String(decoding: output, as: UTF8.self) == "head *** and again ***\ntail", "pieces of \(size)")
        }
    }

    @Test func aSecretThatIsBrokenIntoLinesIsHidden() {
        let long = (0..<60).map { "key\($0)" }.joined(separator: ".")
        let base64 = Data(long.utf8).base64EncodedString(options: [.lineLength76Characters, .endLineWithLineFeed])
        let result = masked("begin\n\(base64)\nend", [long])
        #expect(result.hasPrefix("begin") && result.hasSuffix("\nend") && result.contains("***"))
        #expect(!result.contains(base64.prefix(20)))
        #expect(masked("c4nary/\"S3cr\net+val ue=é%!") == "***!")
    }

    @Test func manySecretsThatOverlapAreAllHidden() {
        #expect(masked("xabcdefghijx", ["abcdef", "defghij", "cdefgh"]) == "x***x")
    }

    // MARK: Files

    private func values(_ text: String, mode: Int = 0o600, environment: [String: String] = [:]) throws -> SecretValues {
        let bench = try Bench(
            """
            version: 1
            name: p
            secrets: { file: secrets.env }
            stages:
              a: { run: "true", secrets: [TOKEN, OTHER] }
            """)
        try bench.folder.write("secrets.env", text)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: bench.folder("secrets.env"))
        var pipeline = try bench.load()
        pipeline.environment.merge(environment) { $1 }
        return try SecretValues(of: pipeline)
    }

    @Test func valuesComeFromTheEnvironmentAndElseFromTheFile() throws {
        let found = try values(
            "# mine\n\nTOKEN=\"from file\"\nOTHER=other-value\n", environment: ["TOKEN": "from environment"])
        #expect(found.values == ["TOKEN": "from environment", "OTHER": "other-value"])
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o660]) func aFileThatOthersCanReadIsRefused(_ mode: Int) {
        #expect {
            try values("TOKEN=abcdefgh\n", mode: mode)
        } throws: { error in
            let error = error as? MLOpsError
            return error?.kind == .notAllowed && error?.hint?.contains("chmod 600") == true
        }
    }

    @Test(arguments: ["TOKEN", "1TOKEN=abcdefgh", "TO KEN=abcdefgh", "TOKEN=abc", "TOKEN="])
    func aLineThatIsNoneAndAValueThatCannotBeHiddenAreRefused(_ line: String) {
        #expect {
            try values(line + "\n")
        } throws: { error in
            let error = error as? MLOpsError
            return error?.kind == .usage && !"\(error?.message ?? "")".contains("abc")
        }
    }

    // MARK: The canary

    /// Every file below `folder` whose bytes hold the canary as it is, in base64, in hexadecimal or URL-encoded.
    private func findings(below folder: String) throws -> [String] {
        let masker = SecretMasker([Self.canary])
        return try FileManager.default.subpathsOfDirectory(atPath: folder).filter { path in
            let full = FileSystem.join(folder, path)
            return try FileStatus.of(full)?.kind == .file && masker.finds(inFile: full)
        }
    }

    @Test func aSecretIsFoundNowhere() async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              leak:
                run: |
                  echo "plain $TOKEN"
                  printf %s "$TOKEN" | base64 ; printf x%s "$TOKEN" | base64 ; printf xy%s "$TOKEN" | base64 >&2
                  printf %s "$TOKEN" | od -An -tx1 | tr -d ' \\n'; echo
                  printf 'c4nary/"S3c'; sleep 0.05; printf 'ret+val ue=é%%\\n'
                  tr '\\0' '\\n' < /proc/$$/cmdline > out.txt
                  echo "{\\"accuracy\\": 1}" > metrics.json
                secrets: [TOKEN]
                outs: [out.txt]
                metrics: [metrics.json]
              other: { run: "env > env.txt", needs: [leak], outs: [env.txt] }
              fails: { run: "echo $TOKEN; echo $TOKEN >&2; exit 3", secrets: [TOKEN], needs: [leak] }
            """)
        var pipeline = try bench.load()
        pipeline.environment["TOKEN"] = Self.canary
        var options = RunOptions(jobs: 1)
        options.keepsGoing = true
        let report = try await PipelineRunner(
            pipeline, store: bench.store, meter: FakeMeter(), options: options, executable: bench.folder("fake-mlops")
        ).run { event in bench.events.withLock { $0.append(event) } }
        #expect(Bench.states(report) == ["leak: succeeded", "other: succeeded", "fails: failed"])
        #expect(try findings(below: bench.folder.path) == [])
        let told =
            bench.events.withLock { $0.map(\.json.canonicalText).joined(separator: "\n") } + report.json.prettyText
        #expect(!SecretMasker([Self.canary]).finds(in: Array(told.utf8)))
        #expect(try bench.text(".mlops/runs/\(report.id)/leak.log").hasPrefix("plain ***\n"))
        #expect(report.stages[2].error?.hint?.contains("***") == true)
        #expect(!(try bench.text("env.txt").contains("TOKEN")), "who does not name it does not get it")
        #expect(!(try bench.text("out.txt").contains(Self.canary)), "the command line is for everyone to read")
    }

    @Test func aSecretThatChangesRunsNothingAgain() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: 'true', secrets: [TOKEN] }\n")
        for value in ["first-value", "second-value"] {
            var pipeline = try bench.load()
            pipeline.environment["TOKEN"] = value
            let report = try await PipelineRunner(
                pipeline, store: bench.store, meter: FakeMeter(), options: RunOptions(jobs: 1), executable: ""
            ).run()
            #expect(report.stages[0].isCached == (value == "second-value"))
        }
    }

    @Test(
        arguments: [
            "echo $TOKEN > out.txt", "mkdir out.txt; printf x%s \"$TOKEN\" | base64 > out.txt/a",
            "mkdir out.txt; printf %s \"$TOKEN\" | base64 | tr -d \"\\n\" > name; : > \"out.txt/$(cat name)\"; rm name",
            "mkdir -p \"out.txt/$TOKEN\"", "mkdir out.txt; ln -s \"$TOKEN\" out.txt/link",
        ])
    func anOutputWithASecretIsNotKept(_ command: String) async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: '\(command)', secrets: [TOKEN], outs: [out.txt] }\n")
        var pipeline = try bench.load()
        pipeline.environment["TOKEN"] = Self.canary
        let report = try await PipelineRunner(
            pipeline, store: bench.store, meter: FakeMeter(), options: RunOptions(jobs: 1), executable: ""
        ).run()
        #expect(report.stages[0].error?.message.contains("wrote the value of a secret") == true)
        #expect(try findings(below: bench.folder(".mlops")) == [])
    }

    @Test(arguments: [canary, "first line-of-it\nsecond line-of-it"])
    func changesWithASecretAreNotKept(_ secret: String) async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: 'true', secrets: [TOKEN] }\n")
        var pipeline = try bench.load()
        pipeline.environment["TOKEN"] = secret
        var options = RunOptions(jobs: 1)
        let lines = secret.split(separator: "\n").map { "+\($0)\n" }.joined()
        options.patch = Array("--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n\(lines)".utf8)
        let report = try await PipelineRunner(
            pipeline, store: bench.store, meter: FakeMeter(), options: options, executable: ""
        ).run()
        #expect(report.patch?["kept"] == false && report.patch?["digest"] == nil)
        #expect(!FileSystem.exists(bench.folder("\(report.folder)/dirty.patch")))
    }

    @Test func aSecretInACommandIsRefusedBeforeItIsHashed() async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: [echo, abcdefgh-token], secrets: [TOKEN] }\n")
        var pipeline = try bench.load()
        pipeline.environment["TOKEN"] = "abcdefgh-token"
        let report = try await PipelineRunner(
            pipeline, store: bench.store, meter: FakeMeter(), options: RunOptions(jobs: 1), executable: ""
        ).run()
        #expect(report.stages[0].error?.message.contains("part of the command") == true)
        #expect(report.stages[0].fingerprint == nil)
    }

    @Test func aSecretThatIsNowhereIsNamed() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: 'true', secrets: [TOKEN] }\n")
        let report = try await bench.run()
        #expect(report.stages[0].error?.message == "stage `a` needs the secret `TOKEN`, which is not set")
    }
}
