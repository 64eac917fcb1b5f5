internal import Basics
internal import Synchronization

/// A progress line on a terminal, or a plain line now and then where none is: safe to update from any thread, as often as
/// the work likes.
package final class ProgressDisplay: Sendable {
    /// A terminal is drawn at most this often.
    static let drawingInterval: Duration = .milliseconds(100)
    /// A log gets a line at most this often, so short work writes none.
    static let loggingInterval: Duration = .seconds(10)

    private struct State {
        var meter: ProgressMeter
        var nextDrawing: Duration
        var isFinished = false
    }

    private let console: Console
    private let now: @Sendable () -> Duration
    private let state: Mutex<State>

    /// - Parameter now: the time since the work began.
    package init(_ console: Console, _ meter: ProgressMeter, now: (@Sendable () -> Duration)? = nil) {
        self.console = console
        let start = ContinuousClock.now
        self.now = now ?? { ContinuousClock.now - start }
        let first = console.showsProgress ? ProgressDisplay.drawingInterval : ProgressDisplay.loggingInterval
        state = Mutex(State(meter: meter, nextDrawing: first))
    }

    /// Takes in how far the work is, and draws if it is time to.
    package func update(done: Int64, total: Int64? = nil) {
        let elapsed = now()
        // Drawn under the lock, so that no line appears after `finish`.
        state.withLock { state in
            guard !state.isFinished else { return }
            state.meter.update(done: done, total: total, elapsed: elapsed)
            guard elapsed >= state.nextDrawing else { return }
            let isDrawn = console.showsProgress
            state.nextDrawing = elapsed + (isDrawn ? ProgressDisplay.drawingInterval : ProgressDisplay.loggingInterval)
            if isDrawn {
                console.drawProgress(state.meter.draw(console.errorStyle))
            } else {
                console.note(state.meter.summary)
            }
        }
    }

    /// Wipes the line; later updates draw nothing.
    package func finish() {
        state.withLock { $0.isFinished = true }
        if console.showsProgress { console.wipeProgress() }
    }
}
