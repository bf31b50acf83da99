import ArgumentParser
import JSON
import NIOCore

/// `carillon publish`: puts messages into a group, over the publish API.
struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publishes to a group over the publish API: one message, or each line of standard input.",
        discussion: """
            carillon publish jobs '{"done": true}'
            tail -f log.jsonl | carillon publish jobs
            echo "a line of text" | carillon publish notes --text

            Ends with 0 when everything was taken. A line that is refused is told, the others are still published, and \
            the status is 1.
            """)

    @Argument(help: "The group, as the route's \"groups\" name it.")
    var group: String

    @Argument(help: "What to publish: JSON, or with --text any text. Without it, each line of standard input.")
    var data: String?

    @Flag(help: "Takes what is published as text instead of JSON.")
    var text = false

    @OptionGroup var api: PublishOptions

    func run() async throws {
        let publisher = try Publisher(url: self.api.url, key: self.api.key, timeout: self.api.timeout)
        if let data = self.data {
            return try await publisher.publish(try self.json(data), to: self.group)
        }
        try await self.publishLines(publisher)
    }

    private func publishLines(_ publisher: Publisher) async throws {
        var number = 0
        var failures = 0
        for await line in InputLines() {
            number += 1
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            do {
                try await publisher.publish(try self.json(line), to: self.group)
            } catch let error as PublishRefusal {
                failures += 1
                Output.error("carillon: line \(number): \(error)")
            }
        }
        if failures > 0 { throw ExitCode(1) }
    }

    /// - Throws: `PublishRefusal` for what is no JSON.
    private func json(_ data: String) throws -> ByteBuffer {
        if self.text {
            var json = ByteBuffer()
            json.writeJSONString(data)
            return json
        }
        do {
            return try JSONText(validating: ByteBuffer(string: data)).bytes
        } catch {
            throw PublishRefusal("is not JSON (\(error)); put texts in quotation marks, or give --text")
        }
    }
}

/// Where the publish API is, and who asks.
struct PublishOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where the API is: http://HOST:PORT, with its path when that is not /api/, or unix:///PATH of a worker.",
            valueName: "url"))
    var url = "http://127.0.0.1:8000"

    @Option(
        help: ArgumentHelp(
            "The API key; CARILLON_API_KEY when left out, which keeps it out of \"ps\".", valueName: "key"))
    var key: String?

    @Option(help: ArgumentHelp("How long to wait for an answer.", valueName: "time"), transform: TimeOption.read)
    var timeout: Duration = .seconds(10)
}
