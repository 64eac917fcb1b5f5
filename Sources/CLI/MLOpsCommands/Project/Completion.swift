internal import ArgumentParser
internal import TerminalOutput

struct Completion: Verb {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print the completion script of a shell",
        discussion: """
            Examples:
              mlops completion bash > /etc/bash_completion.d/mlops
              mlops completion zsh > "${fpath[1]}/_mlops"
              mlops completion fish > ~/.config/fish/completions/mlops.fish
            """)

    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    @Argument(help: "The shell: bash, zsh or fish.")
    var shell: Shell

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        console.print(MLOpsCommand.completionScript(for: CompletionShell(rawValue: shell.rawValue) ?? .bash))
    }
}
