@main
struct MLOps {
    static func main() async {}
}
