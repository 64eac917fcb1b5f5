package import Pipelines
package import Workspaces

extension StepCatalog {
    /// Every step that `uses:` can name, acting on `workspace`.
    package static func builtIn(_ workspace: Workspace) -> StepCatalog {
        StepCatalog([
            ImportStep(workspace: workspace), TrainStep(workspace: workspace), TestStep(workspace: workspace),
            QuantizeStep(workspace: workspace), BenchmarkStep(workspace: workspace), FairnessStep(),
            GateStep(workspace: workspace), CardStep(workspace: workspace), PushStep(workspace: workspace),
            PromoteStep(workspace: workspace),
        ])
    }
}
