internal import Basics

/// Seeded choices of examples that keep the classes' shares.
package enum Splits {
    /// Holds out `fraction` of each class (rounded to the nearest count), chosen by `seed`.
    ///
    /// - Returns: both parts in ascending order; together they are all of `0 ..< labels.count`.
    package static func stratified(labels: [Int], fraction: Double, seed: UInt64) -> (kept: [Int], heldOut: [Int]) {
        precondition(fraction >= 0 && fraction <= 1, "fraction must be in 0...1, not \(fraction)")
        var kept: [Int] = []
        var heldOut: [Int] = []
        for members in shuffledClasses(labels, seed: seed, stream: "split") {
            let count = Int((Double(members.count) * fraction).rounded())
            heldOut += members[..<count]
            kept += members[count...]
        }
        return (kept.sorted(), heldOut.sorted())
    }

    /// About `count` examples with the classes' shares kept, in ascending order; all of them if there are no more.
    package static func sample(labels: [Int], count: Int, seed: UInt64) -> [Int] {
        guard count < labels.count else { return Array(labels.indices) }
        return stratified(labels: labels, fraction: Double(count) / Double(labels.count), seed: seed).heldOut
    }

    /// `count` disjoint parts, chosen by `seed`, of which each is held out in turn.
    ///
    /// - Returns: the parts, each in ascending order. Any two differ by at most one in size, also in the count of each class.
    /// - Throws: kind `.usage` unless `count` is in `2 ... labels.count`.
    package static func folds(labels: [Int], count: Int, seed: UInt64) throws -> [[Int]] {
        guard count >= 2, count <= labels.count else {
            throw MLOpsError(
                .usage, "\(count) folds of \(Format.count(labels.count, "example")) are not possible",
                hint: "choose 2 to \(labels.count)")
        }
        var folds = [[Int]](repeating: [], count: count)
        // Dealt like cards, each class going on where the one before stopped.
        var next = 0
        for members in shuffledClasses(labels, seed: seed, stream: "fold") {
            for member in members {
                folds[next].append(member)
                next = (next + 1) % count
            }
        }
        return folds.map { $0.sorted() }
    }

    /// The indices of each class, by ascending label, in random order.
    private static func shuffledClasses(_ labels: [Int], seed: UInt64, stream: String) -> [[Int]] {
        var byClass: [Int: [Int]] = [:]
        for (index, label) in labels.enumerated() { byClass[label, default: []].append(index) }
        return byClass.sorted { $0.key < $1.key }.map { label, members in
            var random = Philox(seed: seed, stream: "\(stream)-\(label)")
            return random.permutation(of: members.count).map { members[$0] }
        }
    }
}
