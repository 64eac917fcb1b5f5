internal import Basics
internal import CLibcurl
internal import Glibc
internal import Synchronization

/// The thread that drives libcurl's multi interface, and the queue that others hand it work through.
final class TransferLoop: Sendable {
    private enum Command {
        case start(ActiveTransfer)
        case cancel(UInt64)
    }

    private struct State {
        var commands: [Command] = []
        /// Submitted and not finished yet.
        var pending: Set<UInt64> = []
        /// Cancelled before they were submitted.
        var cancelledEarly: Set<UInt64> = []
        var isStopping = false
        var multi: MultiHandle?
    }

    /// libcurl's multi handle.
    /// Safe to share: other threads only call `curl_multi_wakeup` on it, which libcurl allows, and under the state's lock.
    private struct MultiHandle: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private let state = Mutex(State())
    private let counter = Atomic<UInt64>(0)
    private let limiter: RateLimiter?

    init(limiter: RateLimiter?) { self.limiter = limiter }

    func nextIdentifier() -> UInt64 { counter.add(1, ordering: .relaxed).newValue }

    /// Queues `transfer`, starting the thread with the first.
    func submit(_ transfer: ActiveTransfer) {
        let refusal = state.withLock { state -> (any Error)? in
            if state.cancelledEarly.remove(transfer.identifier) != nil { return CancellationError() }
            if state.multi == nil {
                guard mlops_curl_load() == 0, let pointer = mlops_curl_multi_create() else {
                    return TransportError(
                        .unusable, server: transfer.server, detail: String(cString: mlops_curl_load_error()))
                }
                let multi = MultiHandle(pointer: pointer)
                state.multi = multi
                startThread(multi)
            }
            state.pending.insert(transfer.identifier)
            state.commands.append(.start(transfer))
            if let multi = state.multi { mlops_curl_multi_wake(multi.pointer) }
            return nil
        }
        if let refusal { transfer.resume(.failure(refusal)) }
    }

    /// Ends the transfer with `CancellationError`, now or when it is submitted; nothing if it is finished.
    func cancel(_ identifier: UInt64) {
        state.withLock { state in
            guard state.pending.contains(identifier) else {
                state.cancelledEarly.insert(identifier)
                return
            }
            state.commands.append(.cancel(identifier))
            if let multi = state.multi { mlops_curl_multi_wake(multi.pointer) }
        }
    }

    /// Lets the thread end once nothing is left to do.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            if let multi = state.multi { mlops_curl_multi_wake(multi.pointer) }
        }
    }

    private func startThread(_ multi: MultiHandle) {
        let context = Unmanaged.passRetained(Start(loop: self, multi: multi)).toOpaque()
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                start.loop.run(start.multi.pointer)
                return nil
            }, context)
        precondition(code == 0, "the system gives no thread: error \(code)")
        pthread_detach(thread)
    }

    private final class Start: Sendable {
        let loop: TransferLoop
        let multi: MultiHandle

        init(loop: TransferLoop, multi: MultiHandle) {
            self.loop = loop
            self.multi = multi
        }
    }

    private func run(_ multi: UnsafeMutableRawPointer) {
        // A server that hangs up must not end the process; TLS libraries write without MSG_NOSIGNAL.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        var active: [UInt64: ActiveTransfer] = [:]
        while true {
            let (commands, isStopping) = state.withLock { state in
                defer { state.commands = [] }
                return (state.commands, state.isStopping)
            }
            for command in commands { perform(command, on: multi, active: &active) }
            // One thread moves all bytes, so a pause of this thread is a pause of every connection. Short ones: a transfer that
            // is cancelled must end soon.
            if let pause = limiter?.pause, pause > .zero, !active.isEmpty {
                usleep(UInt32(min(pause.seconds, 0.02) * 1e6))
                continue
            }
            _ = mlops_curl_multi_perform(multi)
            reap(multi, active: &active)
            if isStopping, active.isEmpty { break }
            mlops_curl_multi_wait(multi, active.isEmpty ? 60_000 : 1000)
        }
        state.withLock { $0.multi = nil }
        mlops_curl_multi_destroy(multi)
    }

    private func perform(
        _ command: Command, on multi: UnsafeMutableRawPointer, active: inout [UInt64: ActiveTransfer]
    ) {
        switch command {
        case .start(let transfer):
            do {
                let easy = try transfer.prepare()
                guard mlops_curl_multi_add(multi, easy) == CURLM_OK else {
                    throw TransportError(.unusable, server: transfer.server, detail: "it takes no more transfers")
                }
                active[transfer.identifier] = transfer
            } catch {
                finish(transfer, .failure(error))
            }
        case .cancel(let identifier):
            guard let transfer = active.removeValue(forKey: identifier) else { return }
            if let easy = transfer.easy { _ = mlops_curl_multi_remove(multi, easy) }
            finish(transfer, .failure(CancellationError()))
        }
    }

    private func reap(_ multi: UnsafeMutableRawPointer, active: inout [UInt64: ActiveTransfer]) {
        var code = CURLE_OK
        while let easy = mlops_curl_multi_next_finished(multi, &code) {
            _ = mlops_curl_multi_remove(multi, easy)
            guard let (identifier, transfer) = active.first(where: { $0.value.easy == easy }) else { continue }
            active[identifier] = nil
            finish(transfer, transfer.result(code))
        }
    }

    private func finish(_ transfer: ActiveTransfer, _ result: Result<HTTPResponse, any Error>) {
        state.withLock { _ = $0.pending.remove(transfer.identifier) }
        transfer.release()
        transfer.resume(result)
    }
}
