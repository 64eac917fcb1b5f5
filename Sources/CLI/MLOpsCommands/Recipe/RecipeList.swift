internal import ArgumentParser
internal import Basics
internal import ModelZoo
internal import TerminalOutput

struct RecipeList: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the recipes",
        discussion: """
            Examples:
              mlops recipe list
              mlops recipe list --json
            """)

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        try console.report(RecipeListing(recipes: Recipes.all.map(ListedRecipe.init)))
    }
}

/// A recipe as it is told of.
struct ListedRecipe: Encodable {
    struct Setting: Encodable {
        var name: String
        var accepts: String
        var standard: JSONValue
        var summary: String

        private enum CodingKeys: String, CodingKey {
            case name, accepts, summary
            case standard = "default"
        }
    }

    var name: String
    var kind: String
    var summary: String
    var source: String
    var deviations: [String]
    var goals: [RecipeGoal]
    var settings: [Setting]

    init(_ recipe: any Recipe) {
        name = recipe.name
        kind = "\(recipe.kind)"
        summary = recipe.summary
        source = recipe.source
        deviations = recipe.deviations
        goals = recipe.goals
        settings = recipe.hyperparameters.map {
            Setting(name: $0.name, accepts: $0.expectation, standard: $0.defaultValue, summary: $0.summary)
        }
    }
}

struct RecipeListing: Encodable, TextRenderable {
    var recipes: [ListedRecipe]

    func text(_ style: TextStyle) -> String {
        var table = Table(titles: ["recipe", "data", "reaches", "what it is"])
        for recipe in recipes {
            let goal = recipe.goals.first.map { "\(Format.number($0.accuracy)) on \($0.dataset)" } ?? ""
            table.add(.init(recipe.name), .init(recipe.kind), .init(goal), .init(recipe.summary))
        }
        return table.text(style)
    }

    var essence: String { recipes.map(\.name).joined(separator: "\n") }
}
