internal import Basics
internal import Datasets
internal import Drawings
internal import Inference
internal import Interchange
internal import ModelZoo

/// The drawings of one training, by file name.
struct TrainingPlots {
    private var files: [(name: String, bytes: [UInt8])] = []

    init(model: TrainedModel, report: TrainReport, predictor: Predictor, dataset: DatasetFolder) throws {
        add("learning-curve", TrainingPlots.learningCurve(model.history).drawing)
        if let confusion = report.confusion { add("confusion", confusion.drawing) }
        if let chart = NetworkDiagnosis.chart(model.diagnoses) { add("diagnosis", chart.drawing) }
        if let boundary = try TrainingPlots.boundary(predictor, dataset) { add("boundary", boundary.drawing) }
    }

    private mutating func add(_ name: String, _ drawing: Drawing) {
        files.append(("\(name).svg", Array(drawing.svg.utf8)))
        files.append(("\(name).png", drawing.png))
    }

    /// Writes all into `folder`; their paths.
    func write(to folder: String) throws -> [String] {
        try FileSystem.createDirectories(folder)
        return try files.map { file in
            let path = FileSystem.join(folder, file.name)
            try FileSystem.replaceUnflushed(path, with: file.bytes)
            return path
        }
    }

    private static func learningCurve(_ history: [EpochRecord]) -> Chart {
        func points(_ value: (EpochRecord) -> Double?) -> [(x: Double, y: Double)] {
            history.compactMap { record in value(record).map { (Double(record.epoch), $0) } }
        }
        let series = [
            Chart.Series(name: "training loss", points: points(\.trainLoss)),
            Chart.Series(name: "validation loss", points: points(\.validationLoss)),
            Chart.Series(name: "training accuracy", points: points(\.trainAccuracy), isOnRight: true),
            Chart.Series(name: "validation accuracy", points: points(\.validationAccuracy), isOnRight: true),
        ]
        return Chart(
            title: "learning curve", xTitle: "epoch", yTitle: "loss", rightTitle: "accuracy",
            series: series.filter { !$0.points.isEmpty })
    }

    /// The decision boundary of a model of two numeric columns; nil for any other.
    private static func boundary(_ predictor: Predictor, _ dataset: DatasetFolder) throws -> DecisionBoundary? {
        guard case .tabular(let encoder) = predictor.input, encoder.fields.count == 2,
            encoder.fields.allSatisfy(\.isNumeric)
        else { return nil }
        let scales = encoder.fields.map { ($0.mean ?? 0, $0.deviation ?? 1) }
        let examples = try predictor.encoding.examples(of: dataset, split: "train")
        let values = examples.floats(at: Array(0..<examples.count))
        let points = examples.labels.enumerated().map { index, label in
            (
                x: Double(values[2 * index]) * scales[0].1 + scales[0].0,
                y: Double(values[2 * index + 1]) * scales[1].1 + scales[1].0, label: label
            )
        }
        return try DecisionBoundary(
            axes: (encoder.fields[0].name, encoder.fields[1].name), classes: predictor.description.classes,
            points: points
        ) { places in
            let features = places.flatMap {
                [Float(($0.x - scales[0].0) / scales[0].1), Float(($0.y - scales[1].0) / scales[1].1)]
            }
            let prediction = try predictor.predict(features: features, count: places.count)
            return places.indices.map { prediction.best($0) }
        }
    }
}
