import Glibc
import MLOpsCommands

@main
struct MLOps {
    static func main() async { exit(await MLOpsProgram.start(Array(CommandLine.arguments.dropFirst()))) }
}
