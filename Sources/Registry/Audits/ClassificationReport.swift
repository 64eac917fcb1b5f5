/// How well a classifier does on labelled examples. Metrics that the examples leave undefined are null, with the reason.
package struct ClassificationReport: Codable, Hashable, Sendable {
    /// Precision, recall and F1 over all classes; a class without them counts as 0, as in scikit-learn.
    package struct Averages: Codable, Hashable, Sendable {
        package var precision: Double
        package var recall: Double
        package var f1: Double
    }

    /// One class against the others.
    package struct ClassScores: Codable, Hashable, Sendable {
        package var name: String
        /// Examples of this class.
        package var support: Int
        /// Examples taken for this class.
        package var predicted: Int
        /// Null if nothing was taken for this class.
        @OrNull package var precision: Double?
        /// Null if there is no example of this class.
        @OrNull package var recall: Double?
        /// Null if there is neither.
        @OrNull package var f1: Double?
    }

    /// Number of examples.
    package var count: Int
    package var classes: [String]
    /// Share of examples whose most probable class is the true one.
    package var accuracy: Double
    /// Of the positive class (the second of two), or the mean over more than two classes.
    @OrNull package var precision: Double?
    @OrNull package var recall: Double?
    @OrNull package var f1: Double?
    package var macro: Averages
    /// Weighted by support.
    package var weighted: Averages
    /// Area under the ROC curve; of more than two classes the mean of one against the rest.
    @OrNull package var rocAUC: Double?
    /// Of more than two classes the mean of one against the rest.
    @OrNull package var averagePrecision: Double?
    /// Mean of −ln(probability of the true class), in nats; probabilities are clipped to [2⁻⁵², 1 − 2⁻⁵²].
    package var logLoss: Double
    /// Mean squared error of the probability of the positive class; of more than two classes the sum over the classes.
    package var brierScore: Double
    /// Expected calibration error, ten bins of equal width: of two classes over the probability of the positive one, else over
    /// that of the class taken.
    package var calibrationError: Double
    /// Examples by true class (row) and class taken (column).
    package var confusionMatrix: [[Int]]
    package var perClass: [ClassScores]
    /// Why a metric is null, by its key.
    package var undefined: [String: String]

    enum CodingKeys: String, CodingKey {
        case count = "n"
        case classes, accuracy, precision, recall, f1, macro, weighted, undefined
        case rocAUC = "auc"
        case averagePrecision = "average_precision"
        case logLoss = "log_loss"
        case brierScore = "brier"
        case calibrationError = "ece"
        case confusionMatrix = "confusion_matrix"
        case perClass = "per_class"
    }
}

/// The report, and what each example contributed to it.
package struct ClassificationAudit: Hashable, Sendable {
    package var report: ClassificationReport
    /// The class taken for each example.
    package var predictions: [Int]
    /// By metric, the value of each example; the metric is their mean. For gates that ask for a confidence:
    /// `accuracy` (1 or 0), `log_loss`, `brier`.
    package var samples: [String: [Double]]
}
