internal import Basics

extension ScannedFolder {
    /// The entries that a file system would take for one which ignores case or the spelling of accents, as sentences.
    var collisions: [String] {
        // Most names are plain and all differ: a hash of each in lower case tells.
        var plain: Set<UInt64> = []
        var spelled: [String: Int] = [:]
        var found: [String] = []
        var isSpelledOut = false
        for index in entries.indices {
            let hash = withName(index) { name -> UInt64? in
                var hash: UInt64 = 0xCBF2_9CE4_8422_2325
                for byte in name {
                    if byte >= 0x80 { return nil }
                    let lower = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
                    hash = (hash ^ UInt64(lower)) &* 0x100_0000_01B3
                }
                return hash
            }
            if let hash, plain.insert(hash).inserted { continue }
            if hash != nil, !isSpelledOut {
                for earlier in 0..<index {
                    spelled[name(earlier).lowercased()] = spelled[name(earlier).lowercased()] ?? earlier
                }
                isSpelledOut = true
            }
            // Equal strings of Swift may be spelled in different code points.
            let key = name(index).lowercased()
            if let other = spelled[key] {
                let place = path.isEmpty ? "" : " in `\(path)`"
                found.append("`\(name(other))` and `\(name(index))`\(place)")
            } else {
                spelled[key] = index
            }
        }
        return found
    }
}
