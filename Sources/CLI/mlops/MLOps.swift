import MLOpsCommands

@main
struct MLOps {
    static func main() { MLOpsProgram.run(Array(CommandLine.arguments.dropFirst())) }
}
