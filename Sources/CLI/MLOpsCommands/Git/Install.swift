internal import ArgumentParser
internal import Basics
package import TerminalOutput
internal import Workspaces

struct Install: Verb {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Let git check out, push and merge data along with pointers",
        discussion: """
            Writes the hooks post-checkout, post-merge, post-commit, post-rewrite and pre-push, a merge driver for pointers
            into git's configuration, and a line for it into .gitattributes. Hooks that are there stay and run too.
            Once in each clone.

            Examples:
              mlops install
              mlops install --print
            """)

    @Flag(name: .long, help: "Print the lines to add by hand, and write nothing.")
    var print = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        if print { return console.print(try workspace.hookLines()) }
        try console.report(try workspace.installHooks())
    }
}

struct Uninstall: Verb {
    static let configuration = CommandConfiguration(
        commandName: "uninstall", abstract: "Take out what `mlops install` put into git",
        discussion: """
            Other lines of the same hooks stay.

            Example:
              mlops uninstall
            """)

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        try console.report(try global.openWorkspace().uninstallHooks())
    }
}

extension HookInstallation: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        if isUnchanged { return isInstalled ? "installed already" : "nothing was installed" }
        var lines = changedFiles.map { "\(style(isInstalled ? "wrote" : "changed", .good)) \($0)" }
        if hasChangedConfiguration {
            lines.append("\(style(isInstalled ? "set" : "removed", .good)) the merge driver in git's configuration")
        }
        if changedFiles.contains(".gitattributes") { lines.append("next: `git add -A .gitattributes` and commit") }
        return lines.joined(separator: "\n")
    }

    package var essence: String { changedFiles.joined(separator: "\n") }
}
