import Basics
import Synchronization
import Testing

@testable import TerminalOutput

@Suite struct ProgressTests {
    private func meter(done: Int64, of total: Int64?, after seconds: Double) -> ProgressMeter {
        var meter = ProgressMeter("pushing", total: total)
        meter.update(done: done, total: total, elapsed: .seconds(seconds))
        return meter
    }

    @Test func aLineShowsShareRateAndTimeLeft() {
        let line = meter(done: 12 << 20, of: 48 << 20, after: 2).draw(TextStyle(width: 100))
        #expect(
            line == "pushing       ███████░░░░░░░░░░░░░░░░░░░░░░░   25 %  12.0 MiB of 48.0 MiB  6.0 MiB/s  6 s left")
    }

    @Test func aNarrowTerminalLosesTheBarThenTheDetails() {
        let meter = meter(done: 12 << 20, of: 48 << 20, after: 2)
        for width in 1...120 { #expect(displayWidth(meter.draw(TextStyle(width: width))) < max(2, width)) }
        #expect(meter.draw(TextStyle(width: 60)) == "pushing        25 %  12.0 MiB of 48.0 MiB  6.0 MiB/s")
        #expect(meter.draw(TextStyle(width: 24)) == "pushing        25 %")
    }

    @Test func anUnknownTotalShowsNoBarAndNoEnd() {
        #expect(meter(done: 2048, of: nil, after: 1).draw(.plain) == "pushing       2.0 KiB  2.0 KiB/s")
    }

    @Test func itemsAreCountedByName() {
        var meter = ProgressMeter("hashing", unit: .items("file", "files"), total: 4)
        meter.update(done: 4, elapsed: .seconds(2))
        #expect(meter.draw(.plain) == "hashing       ██████████████████████████████  100 %  4 of 4 files")
        #expect(meter.summary == "hashing: 100 %, 4 of 4 files, 2/s")
    }

    @Test func theRateFollowsAChangeOfSpeed() {
        var meter = ProgressMeter("pulling", total: 1_000_000)
        for second in 1...10 { meter.update(done: Int64(second) * 1000, elapsed: .seconds(second)) }
        #expect(meter.rate == 1000)
        for second in 11...30 { meter.update(done: 10_000, elapsed: .seconds(second)) }
        #expect((meter.rate ?? .infinity) < 1)
    }

    @Test func aTerminalIsDrawnAtMostTenTimesASecond() {
        let clock = Mutex(Duration.zero)
        let errors = OutputChannel(capturingAsTerminal: true, width: 80)
        let console = Console(environment: [:], output: .init(capturingAsTerminal: true), errors: errors)
        let display = ProgressDisplay(console, ProgressMeter("adding", total: 1000)) { clock.withLock(\.self) }
        for step in 1...1000 {
            clock.withLock { $0 = .milliseconds(step) }
            display.update(done: Int64(step))
        }
        #expect(errors.text.split(separator: "\r").count == 10)
        console.note("a line")
        #expect(errors.text.hasSuffix("\r\u{1B}[Ka line\n"))
        display.finish()
        let drawn = errors.text
        display.update(done: 1000)
        #expect(errors.text == drawn)
    }

    @Test func aLogGetsPlainLinesOfLongWorkOnly() {
        let clock = Mutex(Duration.zero)
        let errors = OutputChannel(capturingAsTerminal: false)
        let console = Console(environment: [:], output: .init(capturingAsTerminal: false), errors: errors)
        let display = ProgressDisplay(console, ProgressMeter("adding", total: 2500)) { clock.withLock(\.self) }
        for second in 1...25 {
            clock.withLock { $0 = .seconds(second) }
            display.update(done: Int64(second) * 100)
        }
        display.finish()
        #expect(errors.text == "adding: 40 %, 1000 B of 2.4 KiB, 100 B/s\nadding: 80 %, 2.0 KiB of 2.4 KiB, 100 B/s\n")
    }
}
