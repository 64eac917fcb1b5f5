internal import ArgumentParser
internal import Basics
internal import ModelZoo
internal import TerminalOutput

struct RecipeShow: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a recipe: its paper, what it must reach, and its settings",
        discussion: """
            Examples:
              mlops recipe show vision/resnet20
              mlops recipe show tabular/perceptron --json
            """)

    @Argument(help: "The recipe.")
    var recipe: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        try console.report(ShownRecipe(recipe: ListedRecipe(try Recipes.named(recipe))))
    }
}

struct ShownRecipe: Encodable, TextRenderable {
    var recipe: ListedRecipe

    func encode(to encoder: any Encoder) throws { try recipe.encode(to: encoder) }

    func text(_ style: TextStyle) -> String {
        var facts = FactList()
        facts.add("recipe", .init(recipe.name, .heading))
        facts.add("", .init(recipe.summary))
        facts.add("data", .init(recipe.kind))
        facts.add("paper", .init(recipe.source))
        for goal in recipe.goals {
            let flags = goal.settings.sorted { $0.key < $1.key }.map { " --set \($0.key)=\($0.value.canonicalText)" }
            facts.add(
                "reaches", .init("\(Format.number(goal.accuracy)) accuracy on \(goal.dataset)\(flags.joined())"))
        }
        for deviation in recipe.deviations { facts.add("differs", .init(deviation)) }
        var table = Table(titles: ["setting", "default", "accepts", "meaning"])
        for setting in recipe.settings {
            table.add(
                .init(setting.name), .init(setting.standard.canonicalText), .init(setting.accepts),
                .init(setting.summary))
        }
        return facts.text(style) + "\n" + table.text(style)
    }

    var essence: String { recipe.name }
}
