import Basics
import Testing

@Suite struct QuantitiesTests {
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
