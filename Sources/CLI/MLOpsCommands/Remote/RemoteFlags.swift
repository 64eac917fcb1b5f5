internal import ArgumentParser
internal import Basics
internal import ContentStorage
internal import Remotes
internal import TerminalOutput
internal import Workspaces

/// How a remote is reached.
struct RemoteSettings: ParsableArguments {
    @Option(help: "The server of an S3-compatible store.")
    var endpoint: String?

    @Option(help: "The region of the bucket.")
    var region: String?

    @Option(help: "A profile of ~/.aws/credentials.")
    var profile: String?

    @Option(help: ArgumentHelp("Trust the authorities in this PEM file.", valueName: "path"))
    var caFile: String?

    @Flag(inversion: .prefixedNo, help: "Whether the bucket is a part of the path instead of the host name.")
    var pathStyle: Bool?

    /// `configuration` with what the flags say.
    func applied(to configuration: RemoteConfiguration) -> RemoteConfiguration {
        var configuration = configuration
        configuration.endpoint = endpoint ?? configuration.endpoint
        configuration.region = region ?? configuration.region
        configuration.profile = profile ?? configuration.profile
        configuration.certificateFile = caFile ?? configuration.certificateFile
        configuration.pathStyle = pathStyle ?? configuration.pathStyle
        return configuration
    }
}

/// How much moves at a time.
struct TransferFlags: ParsableArguments {
    @Option(name: .shortAndLong, help: "Transfers at a time.")
    var jobs = 8

    @Option(
        help: ArgumentHelp(
            "Move at most so many bytes a second, all connections together: 500k, 10M, 1.5MiB.", valueName: "rate"),
        transform: TransferFlags.rate)
    var limitRate: ByteCount?

    func validate() throws {
        guard (1...256).contains(jobs) else { throw ValidationError("--jobs \(jobs) is not in 1...256") }
    }

    private static func rate(_ text: String) throws -> ByteCount {
        guard let rate = ByteCount(parsing: text), rate.bytes >= 1024 else {
            throw ValidationError("--limit-rate \(text) is not a rate of at least 1k, such as 500k or 10M")
        }
        return rate
    }

    /// The same for a library, with what it tells while it works.
    func options(_ console: Console, _ progress: @escaping ProgressHandler) -> TransferOptions {
        TransferOptions(
            jobs: jobs, limiter: limitRate.map { RateLimiter(bytesPerSecond: $0.bytes) }, progress: progress,
            notice: { console.note($0) })
    }
}

/// Which remote a verb talks to.
struct RemoteOption: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("A remote; the default one by default.", valueName: "name"))
    var remote: String?
}

/// How much of an artifact a verb is about.
struct PartOptions: ParsableArguments {
    @Option(
        name: .customLong("path"),
        help: ArgumentHelp(
            "Only this part of the artifact, from its own path; may be given several times.", valueName: "part"))
    var paths: [String] = []

    @Flag(help: "All of the artifact, where only parts were asked for before.")
    var whole = false

    func extent() throws -> CheckoutExtent {
        CheckoutExtent(paths: try paths.map { try RelativePath(PartOptions.trimmed($0)) }, isWhole: whole)
    }

    /// Without the slash that shells put behind a folder.
    static func trimmed(_ path: String) -> String { path.hasSuffix("/") ? String(path.dropLast()) : path }
}
