/// Microbenchmarks of what a message meets on its way: `micro.sh [FILTER]`.
@main
enum Main {
    static func main() async {
        let measure = Measure(filter: CommandLine.arguments.dropFirst().first ?? "")
        codecs(measure)
        layers(measure)
        heads(measure)
        frames(measure)
        await delivery(measure)
    }
}
