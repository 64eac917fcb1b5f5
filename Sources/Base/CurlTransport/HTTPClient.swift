package import Basics

/// HTTP/1.1 over libcurl: all transfers of a client share one thread and its kept-alive connections.
///
/// The thread and libcurl start with the first request. Redirects are answers like any other: none is followed, so a
/// signature never reaches another host.
package final class HTTPClient: Sendable {
    package struct Options: Sendable {
        /// The limit for name look-up, connection and TLS together.
        package var connectTimeout: Duration = .seconds(4)
        /// A transfer slower than `stallBytesPerSecond` for this long is given up.
        package var stallTimeout: Duration = .seconds(30)
        package var stallBytesPerSecond = 100
        /// A PEM file of certificate authorities to trust instead of the system's.
        package var certificateFile: String?
        package var userAgent = "mlops"
        /// Whether the proxy that the environment names is used.
        package var usesProxy = true
        /// Bounds the bytes of bodies, both ways and over all connections together.
        package var limiter: RateLimiter?

        package init() {}
    }

    private let options: Options
    private let loop: TransferLoop

    package init(options: Options = Options()) {
        self.options = options
        loop = TransferLoop(limiter: options.limiter)
    }

    deinit { loop.stop() }

    /// Makes one exchange; cancelling the task ends the transfer at once.
    ///
    /// - Parameter progress: called with the count of body bytes that moved since the call before, on the client's thread.
    /// - Throws: `TransportError` without a whole answer, `CancellationError`, `MLOpsError` of kind `.damaged` for a body
    ///   beyond the sink's limit, or the error of reading or writing a file.
    package func send(
        _ request: HTTPRequest, into sink: HTTPSink = .memory(limit: 16 << 20),
        progress: (@Sendable (Int64) -> Void)? = nil
    ) async throws -> HTTPResponse {
        let identifier = loop.nextIdentifier()
        let loop = loop
        let options = options
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let transfer = ActiveTransfer(
                    identifier: identifier, request: request, sink: sink, options: options, progress: progress,
                    continuation: continuation)
                loop.submit(transfer)
            }
        } onCancel: {
            loop.cancel(identifier)
        }
    }
}
