/// The columns that `text` takes on a terminal: 2 for wide characters of East Asian scripts and for emoji, 0 for marks that
/// join the character before them, 1 for the rest.
package func displayWidth(_ text: String) -> Int {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
    return text.reduce(0) { $0 + displayWidth($1) }
}

private func displayWidth(_ character: Character) -> Int {
    guard let first = character.unicodeScalars.first else { return 0 }
    if first.value < 0x300 { return 1 }
    // U+FE0F asks for the coloured picture of a character that also has a plain one.
    if character.unicodeScalars.contains(where: { $0.value == 0xFE0F }) { return 2 }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    if first.properties.isEmojiPresentation { return 2 }
    return isWide(first.value) ? 2 : 1
}

/// Whether Unicode's East_Asian_Width of the scalar is W or F (UAX #11), by its large blocks.
private func isWide(_ value: UInt32) -> Bool {
    switch value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
        0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
        0x1F200...0x1F2FF, 0x20000...0x3FFFD:
        true
    default: false
    }
}

/// Which part of a text goes when it is too long.
package enum Truncation: Sendable {
    /// `a long sen…`
    case end
    /// `data/tr…/0001.png`: for paths and digests, whose ends tell them apart.
    case middle
}

/// `text` in at most `width` columns; what was cut is shown as `…`.
package func truncated(_ text: String, to width: Int, _ truncation: Truncation = .end) -> String {
    guard displayWidth(text) > width else { return text }
    guard width > 1 else { return width == 1 ? "…" : "" }
    switch truncation {
    case .end: return prefix(of: text, width: width - 1) + "…"
    case .middle:
        let tail = (width - 1) / 2
        let ending = String(prefix(of: String(text.reversed()), width: tail).reversed())
        return prefix(of: text, width: width - 1 - tail) + "…" + ending
    }
}

/// The longest beginning of `text` that fits into `width` columns.
private func prefix(of text: String, width: Int) -> String {
    var used = 0
    var result = ""
    for character in text {
        used += displayWidth(character)
        if used > width { break }
        result.append(character)
    }
    return result
}

/// Where a text stands in its column.
package enum Alignment: Sendable {
    case left, right
}

/// `text` filled with spaces to `width` columns; a longer text stays as it is.
package func padded(_ text: String, to width: Int, _ alignment: Alignment = .left) -> String {
    let space = String(repeating: " ", count: max(0, width - displayWidth(text)))
    return alignment == .left ? text + space : space + text
}
