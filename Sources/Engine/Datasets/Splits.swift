internal import Basics

/// Seeded choices of examples that keep the classes' shares.
package enum Splits {
    /// Holds out `fraction` of each class (rounded to the nearest count), chosen by `seed`.
    ///
    /// - Returns: both parts in ascending order; together they are all of `0 ..< labels.count`.
    package static func stratified(labels: [Int], fraction: Double, seed: UInt64) -> (kept: [Int], heldOut: [Int]) {
        precondition(fraction >= 0 && fraction <= 1, "fraction must be in 0...1, not \(fraction)")
        var byClass: [Int: [Int]] = [:]
        for (index, label) in labels.enumerated() { byClass[label, default: []].append(index) }
        var kept: [Int] = []
        var heldOut: [Int] = []
        for (label, members) in byClass.sorted(by: { $0.key < $1.key }) {
            var random = Philox(seed: seed, stream: "split-\(label)")
            let order = random.permutation(of: members.count)
            let count = Int((Double(members.count) * fraction).rounded())
            heldOut += order[..<count].map { members[$0] }
            kept += order[count...].map { members[$0] }
        }
        return (kept.sorted(), heldOut.sorted())
    }

    /// About `count` examples with the classes' shares kept, in ascending order; all of them if there are no more.
    package static func sample(labels: [Int], count: Int, seed: UInt64) -> [Int] {
        guard count < labels.count else { return Array(labels.indices) }
        return stratified(labels: labels, fraction: Double(count) / Double(labels.count), seed: seed).heldOut
    }
}
