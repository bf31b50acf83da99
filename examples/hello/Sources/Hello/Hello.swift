import Workers

struct Hello: SynchronousApplication {
    func respond(to request: WorkerRequest) -> WorkerResponse { .text("Hello, \(request.path)\n") }
}

@main struct Main {
    /// Listens on the first argument, such as `fd://0` under supervisord, or on http://127.0.0.1:8002.
    static func main() async throws {
        var configuration = WorkersConfiguration()
        if let listen = CommandLine.arguments.dropFirst().first { configuration.listen = try .init(listen) }
        try await WorkerServer(Hello(), configuration: configuration).run()
    }
}
