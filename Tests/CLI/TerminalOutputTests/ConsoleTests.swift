import Basics
import Testing

@testable import TerminalOutput

@Suite struct ConsoleTests {
    private struct Version: Encodable, TextRenderable {
        var name = "models/census"
        var number = 3

        func text(_ style: TextStyle) -> String { "published \(style("\(name)@v\(number)", .good))" }
        var essence: String { "\(name)@v\(number)" }
    }

    private struct Setup {
        let output: OutputChannel
        let errors: OutputChannel
        let console: Console

        init(_ options: OutputOptions = OutputOptions(), terminal: Bool = false, environment: [String: String] = [:]) {
            output = OutputChannel(capturingAsTerminal: terminal, width: terminal ? 80 : nil)
            errors = OutputChannel(capturingAsTerminal: terminal, width: terminal ? 80 : nil)
            console = Console(options, environment: environment, output: output, errors: errors)
        }
    }

    @Test func aReportIsTextOrJSONOrItsEssence() throws {
        let text = Setup()
        try text.console.report(Version())
        #expect(text.output.text == "published models/census@v3\n")
        let json = Setup(OutputOptions(isJSON: true))
        try json.console.report(Version())
        #expect(json.output.text == "{\n  \"name\": \"models/census\",\n  \"number\": 3\n}\n")
        let quiet = Setup(OutputOptions(verbosity: .quiet))
        try quiet.console.report(Version())
        #expect(quiet.output.text == "models/census@v3\n")
        #expect(text.errors.text + json.errors.text + quiet.errors.text == "")
    }

    @Test func colourNeedsATerminalAndNobodyAgainstIt() throws {
        let colored = Setup(terminal: true)
        try colored.console.report(Version())
        #expect(colored.output.text == "published \u{1B}[32mmodels/census@v3\u{1B}[0m\n")
        let plain = [
            Setup(), Setup(OutputOptions(forbidsColor: true), terminal: true),
            Setup(terminal: true, environment: ["NO_COLOR": "1"]),
            Setup(terminal: true, environment: ["TERM": "dumb"]),
        ]
        for setup in plain {
            try setup.console.report(Version())
            setup.console.error(MLOpsError(.failed, "it broke"))
            #expect(!(setup.output.text + setup.errors.text).contains("\u{1B}"))
        }
        #expect(Setup(terminal: true, environment: ["NO_COLOR": ""]).console.outputStyle.usesColor)
    }

    @Test func anErrorIsASentenceAHintAndTheExitCode() {
        let setup = Setup()
        let below = MLOpsError(.io, "cannot read `a`: input/output error")
        let error = MLOpsError(
            .usage, "width 0 is not in 1...64", hint: "write a width of at least 1",
            at: SourceLocation(path: "pipelines/train.yaml", line: 14, column: 3), cause: below)
        #expect(setup.console.error(error) == 64)
        #expect(
            setup.errors.text == """
                error: pipelines/train.yaml:14:3: width 0 is not in 1...64
                hint: write a width of at least 1

                """)
        let verbose = Setup(OutputOptions(verbosity: .verbose))
        verbose.console.error(error)
        #expect(verbose.errors.text.hasSuffix("caused by: cannot read `a`: input/output error\n"))
    }

    @Test func anErrorOfAScriptIsOneLineOfJSON() throws {
        let setup = Setup(OutputOptions(isJSON: true))
        let place = SourceLocation(path: "p.yaml", line: 2)
        setup.console.note("not for scripts")
        #expect(setup.console.error(MLOpsError(.refused, "`accuracy` is 0.8, below 0.85", hint: "h", at: place)) == 4)
        let json = try JSONValue(parsing: Array(setup.errors.text.utf8), source: "stderr")
        #expect(
            json == [
                "error": [
                    "kind": "refused", "exit_code": 4, "message": "`accuracy` is 0.8, below 0.85", "hint": "h",
                    "location": ["path": "p.yaml", "line": 2, "column": nil],
                ]
            ])
        #expect(setup.output.text == "")
    }

    @Test func otherErrorsGetAnExitCodeToo() {
        #expect(Setup().console.error(CancellationError()) == 130)
        struct Odd: Error {}
        #expect(Setup().console.error(Odd()) == 1)
    }

    @Test func quietKeepsWarningsAndDropsNotes() {
        let quiet = Setup(OutputOptions(verbosity: .quiet))
        quiet.console.note("note")
        quiet.console.detail("detail")
        quiet.console.warning("the tree is dirty", hint: "commit first")
        #expect(quiet.errors.text == "warning: the tree is dirty\nhint: commit first\n")
        let verbose = Setup(OutputOptions(verbosity: .verbose))
        verbose.console.detail("detail")
        #expect(verbose.errors.text == "detail\n")
    }

    @Test func messagesCannotCarryControlCharacters() {
        let setup = Setup()
        setup.console.error(MLOpsError(.failed, "bad name `a\u{1B}]0;x\u{7}`"))
        #expect(setup.errors.text == "error: bad name `a\\u{1b}]0;x\\u{7}`\n")
    }

    @Test func eventsAreOneLineEach() throws {
        let setup = Setup(OutputOptions(isJSON: true))
        try setup.console.printEvent(Version())
        try setup.console.printEvent(Version(number: 4))
        #expect(
            setup.output.text
                == "{\"name\":\"models/census\",\"number\":3}\n{\"name\":\"models/census\",\"number\":4}\n")
    }
}
