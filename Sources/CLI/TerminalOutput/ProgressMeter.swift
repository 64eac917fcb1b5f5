internal import Basics

/// How far a piece of work is, and how fast: numbers in, one line out. Draws nothing itself.
package struct ProgressMeter: Sendable {
    /// What is counted.
    package enum Unit: Hashable, Sendable {
        case bytes
        /// Things with a name in singular and plural.
        case items(String, String)

        fileprivate func text(_ count: Int64) -> String {
            switch self {
            case .bytes: Format.bytes(count)
            case .items: String(count)
            }
        }
    }

    /// Seconds after which a change of speed counts for two thirds in the shown rate.
    private static let smoothing = 3.0

    package let label: String
    package let unit: Unit
    package private(set) var done: Int64 = 0
    package private(set) var total: Int64?
    /// Units per second, smoothed; nil until half a second of work was seen.
    package private(set) var rate: Double?
    private var elapsed: Duration = .zero
    private var rateTaken: (done: Int64, elapsed: Duration) = (0, .zero)

    package init(_ label: String, unit: Unit = .bytes, total: Int64? = nil) {
        self.label = label
        self.unit = unit
        self.total = total
    }

    /// Takes in that `done` of `total` units are done `elapsed` after the start.
    package mutating func update(done: Int64, total: Int64? = nil, elapsed: Duration) {
        self.done = max(0, done)
        if let total { self.total = total }
        self.elapsed = elapsed
        let seconds = (elapsed - rateTaken.elapsed).seconds
        guard seconds >= 0.5 else { return }
        let current = Double(max(0, self.done - rateTaken.done)) / seconds
        let weight = seconds / (seconds + ProgressMeter.smoothing / 2)
        rate = rate.map { $0 + weight * (current - $0) } ?? current
        rateTaken = (self.done, elapsed)
    }

    /// The share that is done, in 0...1; nil while the total is not known.
    package var fraction: Double? {
        guard let total, total > 0 else { return nil }
        return min(1, Double(done) / Double(total))
    }

    /// The time that the rest will take at the present rate.
    package var timeLeft: Duration? {
        guard let total, let rate, rate > 0, total > done else { return nil }
        return .seconds((Double(total - done) / rate).rounded(.up))
    }

    /// One line for a terminal of `style.width` columns: label, bar, percent, count, rate, time left; what does not fit
    /// goes, from the right and then the bar.
    package func draw(_ style: TextStyle) -> String {
        let width = max(1, (style.width ?? 80) - 1)
        let head = padded(printable(label), to: 12)
        var details = [count]
        if let rate, done < total ?? .max { details.append(speed(rate)) }
        if let timeLeft { details.append("\(ProgressMeter.short(timeLeft)) left") }
        let percent = fraction.map { padded("\(Int($0 * 100))", to: 3, .right) + " %" }
        while true {
            let tail = ([percent].compactMap(\.self) + details).joined(separator: "  ")
            let room = width - displayWidth(head) - displayWidth(tail) - 4
            if let fraction, room >= 10 {
                return head + "  " + bar(fraction, width: min(room, 30), style) + "  " + tail
            }
            let line = head + "  " + tail
            if displayWidth(line) <= width || details.isEmpty { return truncated(line, to: width) }
            details.removeLast()
        }
    }

    /// One plain line for a log: no bar.
    package var summary: String {
        let percent = fraction.map { "\(Int($0 * 100)) %, " } ?? ""
        return "\(printable(label)): \(percent)\(count)" + (rate.map { ", \(speed($0))" } ?? "")
    }

    private var count: String {
        let total = total.map { " of \(unit.text($0))" } ?? ""
        switch unit {
        case .bytes: return unit.text(done) + total
        case .items(let singular, let plural):
            return unit.text(done) + total + " " + ((self.total ?? done) == 1 ? singular : plural)
        }
    }

    private func speed(_ rate: Double) -> String {
        switch unit {
        case .bytes: Format.bytes(Int64(min(rate, 1e15))) + "/s"
        case .items: Format.number(rate >= 10 ? rate.rounded() : rate) + "/s"
        }
    }

    private func bar(_ fraction: Double, width: Int, _ style: TextStyle) -> String {
        let full = Int(fraction * Double(width))
        return style(String(repeating: "█", count: full), .accent)
            + style(String(repeating: "░", count: width - full), .faint)
    }

    /// `8 s`, `3 min`, `2 h 10 min`: no finer than a glance needs.
    private static func short(_ duration: Duration) -> String {
        let seconds = Int(duration.seconds)
        switch seconds {
        case ..<90: return "\(seconds) s"
        case ..<5400: return "\((seconds + 59) / 60) min"
        default: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
        }
    }
}
