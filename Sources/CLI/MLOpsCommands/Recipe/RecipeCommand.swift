internal import ArgumentParser

struct RecipeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recipe", abstract: "List and show the recipes that `mlops train` and the step `train` know",
        subcommands: [RecipeList.self, RecipeShow.self])
}
