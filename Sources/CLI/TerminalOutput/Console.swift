package import Basics
internal import Synchronization

/// What the flags of every command say about its output.
package struct OutputOptions: Hashable, Sendable {
    package enum Verbosity: Int, Sendable, Comparable {
        case quiet, normal, verbose

        package static func < (left: Verbosity, right: Verbosity) -> Bool { left.rawValue < right.rawValue }
    }

    /// `--json`: results and errors are JSON.
    package var isJSON: Bool
    package var verbosity: Verbosity
    /// `--no-color`
    package var forbidsColor: Bool

    package init(isJSON: Bool = false, verbosity: Verbosity = .normal, forbidsColor: Bool = false) {
        self.isJSON = isJSON
        self.verbosity = verbosity
        self.forbidsColor = forbidsColor
    }
}

/// The one place that talks to the user: results to standard output, the rest to standard error.
package final class Console: Sendable {
    package let options: OutputOptions
    private let output: OutputChannel
    private let errors: OutputChannel
    private let allowsColor: Bool
    /// How many lines of progress stand above and at the cursor, to be wiped before anything else is written.
    private let progressLines = Mutex(0)

    /// - Parameter environment: `NO_COLOR` (not empty) and `TERM=dumb` turn colour off.
    package init(
        _ options: OutputOptions = OutputOptions(), environment: [String: String],
        output: OutputChannel = .standardOutput, errors: OutputChannel = .standardError
    ) {
        self.options = options
        self.output = output
        self.errors = errors
        let isPlain = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
        allowsColor = !options.forbidsColor && !isPlain
    }

    /// How text on standard output may look.
    package var outputStyle: TextStyle { style(of: output) }

    /// How text on standard error may look.
    package var errorStyle: TextStyle { style(of: errors) }

    /// Whether progress is drawn: a person reads along and wants more than the result.
    package var showsProgress: Bool { errors.isTerminal && isTalkative }

    private var isTalkative: Bool { !options.isJSON && options.verbosity > .quiet }

    private func style(of channel: OutputChannel) -> TextStyle {
        TextStyle(usesColor: allowsColor && channel.isTerminal, width: channel.isTerminal ? channel.width : nil)
    }

    // MARK: Results

    /// Prints the result of a command: text, or JSON with `--json`, or its essence with `--quiet`.
    package func report(_ value: some Encodable & TextRenderable) throws {
        if options.isJSON {
            printJSON(try JSONValue(encoding: value))
        } else {
            let text = options.verbosity == .quiet ? value.essence : value.text(outputStyle)
            print(Console.safe(text, withColor: outputStyle.usesColor))
        }
    }

    /// Prints a result that is text by nature (a file, a diagram), whatever the flags.
    package func print(_ text: String) {
        guard !text.isEmpty else { return }
        write(text.hasSuffix("\n") ? text : text + "\n", to: output)
    }

    /// Prints a JSON result: sorted keys, two spaces of indent.
    package func printJSON(_ value: JSONValue) { write(value.prettyText, to: output) }

    /// Prints one line of a stream of JSON events (NDJSON).
    package func printEvent(_ value: some Encodable) throws {
        write(try JSONValue(encoding: value).canonicalText + "\n", to: output)
    }

    /// `text` with every control character shown but the ends of lines, tabs and our own colours: names of files, branches
    /// and remotes come from others.
    private static func safe(_ text: String, withColor: Bool) -> String {
        guard withColor else { return printableLines(text) }
        let escape = "\u{1B}["
        var pieces = text.split(separator: escape, omittingEmptySubsequences: false).map(String.init)
        for index in pieces.indices {
            let code = pieces[index].prefix { $0.isNumber || $0 == ";" }
            let isColor = index > 0 && pieces[index].dropFirst(code.count).first == "m"
            let own = isColor ? escape + code + "m" : index > 0 ? printable(escape) : ""
            pieces[index] = own + printableLines(String(pieces[index].dropFirst(isColor ? code.count + 1 : 0)))
        }
        return pieces.joined()
    }

    // MARK: The rest

    /// Tells what is going on; silent with `--quiet` and `--json`.
    package func note(_ text: String) {
        if isTalkative { say(Console.safe(text, withColor: errorStyle.usesColor)) }
    }

    /// Tells a detail; only with `--verbose`.
    package func detail(_ text: String) {
        guard options.verbosity == .verbose else { return }
        if options.isJSON { sayJSON(["detail": .string(text)]) } else { say(errorStyle(printableLines(text), .faint)) }
    }

    /// Tells what may be wrong; with `--json` as `{"warning": …}`.
    package func warning(_ text: String, hint: String? = nil) {
        if options.isJSON {
            sayJSON(["warning": ["message": .string(text), "hint": hint.map { .string($0) } ?? .null]])
        } else {
            say(errorStyle("warning:", .caution) + " " + printableLines(text))
            if let hint { say(errorStyle("hint:", .accent) + " " + printableLines(hint)) }
        }
    }

    /// Tells why the command failed; with `--json` as `{"error": …}`. With `--verbose` the causes follow.
    ///
    /// - Returns: the exit code that belongs to the error.
    @discardableResult
    package func error(_ error: any Error) -> Int32 {
        let report = ErrorReport(error)
        let isVerbose = options.verbosity == .verbose
        if options.isJSON {
            sayJSON(report.json(withCauses: isVerbose))
        } else {
            for line in report.lines(errorStyle, withCauses: isVerbose) { say(line) }
        }
        return report.exitCode
    }

    private func say(_ line: String) { write(line + "\n", to: errors) }

    private func sayJSON(_ value: JSONValue) { write(value.canonicalText + "\n", to: errors) }

    private func write(_ text: String, to channel: OutputChannel) {
        progressLines.withLock { count in
            if count > 0 { errors.write(Console.upward(count) + (count > 1 ? "\u{1B}[J" : "\u{1B}[K")) }
            count = 0
            channel.write(text)
        }
    }

    // MARK: Progress

    /// To the beginning of the first of `count` lines, the last of which is the cursor's.
    private static func upward(_ count: Int) -> String { count > 1 ? "\r\u{1B}[\(count - 1)A" : "\r" }

    /// Puts `line` at the cursor in place of the progress before it.
    func drawProgress(_ line: String) { drawProgress([line]) }

    /// Puts `lines` in place of the progress before them, all at once. No line may be wider than the terminal.
    package func drawProgress(_ lines: [String]) {
        progressLines.withLock { count in
            let text = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\n")
            errors.write(Console.upward(count) + text + (count > lines.count ? "\u{1B}[J" : ""))
            count = lines.count
        }
    }

    /// Wipes the progress, if there is any.
    package func wipeProgress() { write("", to: errors) }

    /// Columns and rows of the terminal that progress is drawn on.
    package var progressArea: (columns: Int, rows: Int) { (errors.width ?? 80, errors.height ?? 24) }
}
