internal import Basics
internal import GitIntegration
package import Pipelines
package import Remotes

extension Workspace {
    /// Runs one stage of a pipeline alone, with what the stages before it handed over, and hands over what it made.
    ///
    /// - Parameter token: the same for all stages of one run, which may be on different machines.
    package func run(
        _ pipeline: Pipeline, only name: String, exchange token: String, remoteName: String? = nil,
        options: RunOptions, transferOptions: TransferOptions = TransferOptions(),
        onEvent: @escaping @Sendable (RunEvent) -> Void
    ) async throws -> RunReport {
        let stage = try pipeline.stage(name)
        let exchange = try StageExchange(
            self, remote: try open(try remote(named: remoteName), options: transferOptions), token: token,
            pipeline: pipeline.name, transferOptions: transferOptions)
        let pointers = try exchange.pointers()
        var options = options
        options.given = try await exchange.receive(for: stage, of: pipeline)
        options.only = stage.name
        let report = try await run(pipeline, options: options, onEvent: onEvent)
        if let done = report.stages.first(where: { $0.name == stage.name }), done.state == .succeeded {
            try await exchange.send(done, changing: pointers)
        }
        return report
    }

    /// The manifest of a pipeline for another system; what is not given is taken from the project: the commit, git's remote
    /// `origin`, the default remote.
    package func manifest(
        of pipeline: Pipeline, for target: ExportTarget, remoteName: String? = nil, options given: ExportOptions
    ) throws -> (text: String, notes: [String]) {
        var options = given
        options.commit = try pipeline.git.get().commit
        if options.repository == nil {
            let address = try git?.configuration("remote.origin.url")
            // The user of `ssh://git@…` is part of the address; that of `https://` comes with a token.
            options.repository = address.map { $0.lowercased().hasPrefix("http") ? withoutCredentials($0) : $0 }
        }
        if options.exchange.isEmpty { options.exchange = RunRecord.token(length: 6) }
        let configuration = try remote(named: remoteName).configuration
        let remote: ExportRemote =
            configuration.url.hasPrefix("s3://") ? .s3 : .folder(absolute(folder(configuration.url)))
        var (text, notes) = try pipeline.manifest(for: target, remote: remote, options: options)
        if try pipeline.git.get().isDirty == true {
            notes.append("the work tree has changes that are not committed; the containers get the commit")
        }
        return (text, notes)
    }

    private func folder(_ address: String) -> String {
        address.hasPrefix("file://") ? String(address.dropFirst("file://".count)) : address
    }
}
