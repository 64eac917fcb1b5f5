internal import Audits
package import Basics
internal import Datasets
package import Pipelines
internal import Workspaces

/// `uses: fairness`: compares how a classifier treats groups, from the predictions that a `test` stage wrote.
package struct FairnessStep: BuiltInStep {
    package let name = "fairness"
    package let version = 1
    package let summary = "compare how a classifier treats groups"

    package let parameters = [
        StepParameter("predictions", .string, required: true, "the file that a `test` stage wrote"),
        StepParameter("groups", .list, required: true, "sensitive columns, such as `[sex, race]`"),
        StepParameter("replicates", .int, default: 500, "bootstrap replicates of the intervals"),
        StepParameter("minimum_group_size", .int, default: 30, "smaller groups are marked"),
        StepParameter("seed", .int, default: 0, "of the bootstrap"),
    ]

    private struct Settings: Decodable {
        var predictions: RelativePath
        var groups: [String]
        var replicates: Int
        var minimumGroupSize: Int
        var seed: UInt64

        enum CodingKeys: String, CodingKey {
            case predictions, groups, replicates, seed
            case minimumGroupSize = "minimum_group_size"
        }
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        guard !settings.groups.isEmpty, settings.replicates >= 0, settings.minimumGroupSize >= 1 else {
            throw MLOpsError(
                .usage, "`groups` is empty, `replicates` below 0 or `minimum_group_size` below 1",
                hint: "name at least one sensitive column, such as `groups: [sex]`")
        }
        return StepPlan(deps: [settings.predictions.description])
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let file = try PredictionFile(path: FileSystem.absolute(settings.predictions.description, from: context.root))
        var options = FairnessOptions()
        options.replicates = settings.replicates
        options.minimumGroupSize = settings.minimumGroupSize
        options.seed = settings.seed
        let report = try FairnessReport(
            labels: try file.flags(in: "label"), predictions: try file.flags(in: "predicted"),
            columns: try settings.groups.map { SensitiveColumn(name: $0, values: try file.texts(in: $0)) },
            scores: try file.numbers(in: "score"), options: options)
        for (name, column) in report.sortedColumns {
            let difference = column.disparities[.equalizedOddsDifference].map { Format.fixed($0, 3) } ?? "undefined"
            context.log(
                "\(name): equalized odds difference \(difference) over \(Format.count(column.groups.count, "group"))")
        }
        try context.writeMetrics(try JSONValue(encoding: report))
    }
}
