import Basics
import Synchronization
import Testing

@Suite struct QuantitiesTests {
    @Test func readsAmountsOfBytesAsPeopleWriteThem() {
        let expected: [(String, Int64)] = [
            ("512", 512), ("64k", 65536), ("10M", 10 << 20), ("1.5MiB", 3 << 19), ("2G", 2 << 30), ("3kB", 3000),
            ("7mb", 7_000_000), ("9b", 9),
        ]
        for (text, bytes) in expected { #expect(ByteCount(parsing: text)?.bytes == bytes, "\(text)") }
        for text in ["", "M", "-1", "0", "1x", "1MiBs", "1..5M", "1e3", "1 M", "99999999999T"] {
            #expect(ByteCount(parsing: text) == nil, "\(text)")
        }
    }

    @Test func aRateIsKeptOverWhatMoves() {
        let clock = Mutex(ContinuousClock.now)
        let limiter = RateLimiter(bytesPerSecond: 2000, now: { clock.withLock { $0 } })
        #expect(limiter.pause == .zero)
        limiter.spend(1000)
        #expect(limiter.pause == .milliseconds(500))
        limiter.spend(1000)
        #expect(limiter.pause == .seconds(1))
        clock.withLock { $0 += .seconds(9) }
        #expect(limiter.pause == .zero)
        limiter.spend(2000)
        // Hardly any of the idle time is saved up.
        #expect(limiter.pause == .milliseconds(950))
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_048_575, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
        ] as [(Int64, String)])
    func bytesReadAsPeopleSayThem(_ count: Int64, _ text: String) { #expect(Format.bytes(count) == text) }

    @Test(arguments: [
        ("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("500ms", 0.5), ("1.5s", 1.5),
    ])
    func durationsAreRead(_ text: String, _ seconds: Double) throws {
        #expect(try #require(Duration(parsing: text)).seconds == seconds)
    }

    @Test(arguments: ["", "x", "-1", "10 m", "m", "1d", "1h30"])
    func wrongDurationsAreRefused(_ text: String) { #expect(Duration(parsing: text) == nil) }

    @Test func timesReadBack() throws {
        let time = Timestamp(milliseconds: 1_769_860_805_007)
        #expect(time.description == "2026-01-31T12:00:05.007Z")
        #expect(Timestamp(time.description) == time)
        #expect(time.compact == "20260131T120005Z")
        #expect(Timestamp("2026-13-31T12:00:05.007Z") == nil)
    }

    @Test func theNearestNameIsOffered() {
        #expect(nearestName(to: "epocs", among: ["epochs", "seed", "recipe"]) == "epochs")
        #expect(nearestName(to: "zzz", among: ["epochs", "seed"]) == nil)
    }
}
