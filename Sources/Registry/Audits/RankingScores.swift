/// Area under the ROC curve: the chance that a positive example scores above a negative one, a tie counting half
/// (Mann–Whitney).
///
/// - Returns: nil if there is no positive or no negative example.
/// - Complexity: O(n log n)
func areaUnderROC(scores: [Double], isPositive: [Bool]) -> Double? {
    let positives = isPositive.count { $0 }
    let negatives = isPositive.count - positives
    guard positives > 0, negatives > 0 else { return nil }
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    var rankSum = 0.0
    var start = 0
    while start < order.count {
        var end = start
        var tiedPositives = 0
        while end < order.count, scores[order[end]] == scores[order[start]] {
            if isPositive[order[end]] { tiedPositives += 1 }
            end += 1
        }
        // Tied examples share the mean of the ranks start+1...end.
        rankSum += Double(tiedPositives) * Double(start + 1 + end) / 2
        start = end
    }
    let n = Double(positives)
    return (rankSum - n * (n + 1) / 2) / (n * Double(negatives))
}

/// Average precision: Σ (recallᵢ − recallᵢ₋₁) · precisionᵢ over the distinct scores from the highest down, not interpolated.
///
/// - Returns: nil if there is no positive example.
func averagePrecision(scores: [Double], isPositive: [Bool]) -> Double? {
    let positives = isPositive.count { $0 }
    guard positives > 0 else { return nil }
    let order = scores.indices.sorted { scores[$0] > scores[$1] }
    var sum = 0.0
    var found = 0
    var start = 0
    while start < order.count {
        var end = start
        let before = found
        while end < order.count, scores[order[end]] == scores[order[start]] {
            if isPositive[order[end]] { found += 1 }
            end += 1
        }
        sum += Double(found - before) / Double(positives) * Double(found) / Double(end)
        start = end
    }
    return sum
}

/// Expected calibration error: Σ n_b/n · |mean outcome − mean confidence| over ten bins of equal width, each without its
/// upper end but the last.
///
/// - Returns: nil for no examples.
func calibrationError(confidences: [Double], outcomes: [Bool]) -> Double? {
    guard !confidences.isEmpty else { return nil }
    var confidence = [Double](repeating: 0, count: 10)
    var hits = [Double](repeating: 0, count: 10)
    for (value, isHit) in zip(confidences, outcomes) {
        let bin = min(9, Int(value * 10))
        confidence[bin] += value
        hits[bin] += isHit ? 1 : 0
    }
    return zip(confidence, hits).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(confidences.count)
}
