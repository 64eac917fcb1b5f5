internal import Basics

/// Which packs can go, and which are worth writing anew without what nobody needs.
struct CollectionPlan: Sendable {
    /// Packs without a needed object, old enough, and not named by anything that stays.
    private(set) var dead: [Int] = []
    /// Packs as dead as those, but some pack that stays lists what lies in them: first that one must be written anew.
    private(set) var deadLater: [Int] = []
    /// Packs whose needed objects are to be copied into new packs.
    private(set) var mixed: [Int] = []
    /// For each pack, the entries for which it is needed.
    private(set) var needed: [[Int32]]
    private(set) var neededBytes: [Int64]

    /// - Parameters:
    ///   - youngSince: packs written at this time or later stay as they are.
    ///   - share: a pack of whose bytes less than this is needed is written anew.
    init(_ inventory: PackInventory, live: LiveObjects, youngSince: Timestamp, share: Double) throws {
        let packs = inventory.packs
        needed = packs.map { _ in [] }
        neededBytes = packs.map { _ in 0 }
        var liveBytes = [Int64](repeating: 0, count: packs.count)
        if !inventory.copies.isEmpty {
            for (number, pack) in packs.enumerated() {
                for entry in pack.entries where live.keys.contains(entry.key) {
                    liveBytes[number] += Int64(entry.storedLength)
                }
            }
        }
        let isYoung = packs.map { $0.modified >= youngSince }
        // Of several places the one counts whose pack stays anyway, or has most in it that is needed.
        func isBetter(_ left: PackInventory.Place, _ right: PackInventory.Place) -> Bool {
            let (left, right) = (Int(left.pack), Int(right.pack))
            if isYoung[left] != isYoung[right] { return isYoung[left] }
            let shares = [left, right].map { Double(liveBytes[$0]) / Double(max(1, packs[$0].byteCount)) }
            return shares[0] != shares[1] ? shares[0] > shares[1] : packs[left].digest < packs[right].digest
        }
        for key in live.keys {
            guard var place = inventory.first(key) else { continue }
            for other in inventory.copies[key] ?? [] where isBetter(other, place) { place = other }
            needed[Int(place.pack)].append(place.entry)
            neededBytes[Int(place.pack)] += Int64(inventory.entry(at: place).storedLength)
        }
        for number in packs.indices where !isYoung[number] {
            if needed[number].isEmpty {
                dead.append(number)
            } else if isWorthRewriting(packs[number], live, number, share) {
                mixed.append(number)
            }
        }
        try holdBackNamed(inventory, live)
    }

    /// A pack with a list that nobody needs is rewritten however little that saves: else it would name what is gone.
    private func isWorthRewriting(
        _ pack: PackInventory.Pack, _ live: LiveObjects, _ number: Int, _ share: Double
    ) -> Bool {
        // A small pack is mostly footer; one that is needed whole would only become itself again.
        let frames = pack.entries.reduce(Int64(0)) { $0 + Int64($1.storedLength) }
        return Double(neededBytes[number]) < share * Double(frames)
            || pack.entries.contains { $0.key.kind != .chunk && !live.keys.contains($0.key) }
    }

    private mutating func holdBackNamed(_ inventory: PackInventory, _ live: LiveObjects) throws {
        var named = LiveObjects(emptyLike: live)
        for number in mixed {
            for entry in inventory.packs[number].entries
            where entry.key.kind != .chunk && !live.keys.contains(entry.key) {
                // A list that cannot be read names nothing.
                try? named.markLeniently(entry.key)
            }
        }
        guard !named.keys.isEmpty else { return }
        let isNamed = { (number: Int) in
            inventory.packs[number].entries.contains { named.keys.contains($0.key) && !live.keys.contains($0.key) }
        }
        deadLater = dead.filter(isNamed)
        dead.removeAll(where: isNamed)
    }

    /// All packs that will be gone in the end.
    var leaving: [Int] { dead + deadLater + mixed }
}

extension LiveObjects {
    init(emptyLike other: LiveObjects) {
        self.init(store: other.store, inventory: other.inventory, isElsewhere: other.isElsewhere)
    }
}
