import HTTP1
import JSON
import Logging
import NIOCore
import NIOPosix
import Upstream

/// A client of the publish API, with one kept-alive connection.
struct Publisher {
    private let client: UpstreamClient
    private let base: String
    private let key: String?
    private let timeout: TimeAmount
    private let url: String

    /// - Throws: `Failure` for an address that cannot be used.
    init(url: String, key: String?, timeout: Duration) throws {
        let (address, path) = Self.split(url)
        self.base = (path.isEmpty || path == "/" ? "/api" : path.hasSuffix("/") ? String(path.dropLast()) : path) + "/"
        self.key = key ?? Process.environment["CARILLON_API_KEY"]
        self.timeout = TimeAmount(timeout)
        self.url = url
        do {
            var configuration = UpstreamConfiguration(addresses: [try UpstreamAddress(parsing: address)])
            configuration.firstByteTime = self.timeout
            configuration.idleTime = self.timeout
            self.client = UpstreamClient(
                configuration, group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "publish") { _ in SwiftLogNoOpLogHandler() })
        } catch {
            throw Failure("--url \(url): \(error)")
        }
    }

    /// `http://host:port/path` as its two halves; a Unix socket has no path of its own.
    private static func split(_ url: String) -> (address: String, path: String) {
        guard url.hasPrefix("http://"), let slash = url.dropFirst("http://".count).firstIndex(of: "/") else {
            return (url, "")
        }
        return (String(url[..<slash]), String(url[slash...]))
    }

    /// Publishes one message.
    ///
    /// - Parameter data: JSON text.
    /// - Throws: `PublishRefusal` when the API does not take it; `Failure` when the API cannot be asked at all.
    func publish(_ data: ByteBuffer, to group: String) async throws {
        var body = ByteBuffer()
        body.writeStaticString("{\"channel\":")
        body.writeJSONString(group)
        body.writeStaticString(",\"data\":")
        body.writeImmutableBuffer(data)
        body.writeStaticString("}")
        var request = UpstreamRequest(method: "POST", target: self.base + "publish", body: body)
        request.fields.append("content-type", "application/json")
        if let key = self.key { request.fields.append("x-api-key", key) }
        try self.check(try await self.ask(request))
    }

    private func ask(_ request: UpstreamRequest) async throws -> UpstreamAnswer {
        do {
            return try await self.client.ask(request, timeout: self.timeout, limit: 1_048_576)
        } catch let error as UpstreamError {
            throw Failure("\(self.url) does not answer: \(error.message); is Carillon running there (--url)?")
        }
    }

    private func check(_ answer: UpstreamAnswer) throws {
        switch answer.status {
        case 200: break
        case 401 where self.key == nil: throw Failure("a key is needed; give --key or set CARILLON_API_KEY")
        case 401: throw Failure("the key is not one of the server's (its setting api.keys)")
        case 404: throw Failure("\(self.url) has no publish API at \(self.base); give its path with --url")
        case 413: throw PublishRefusal("is larger than the server takes (its setting workers.body_limit)")
        default: throw Failure("\(self.url) answered \(answer.status) \(answer.head.reason)")
        }
        guard let json = try? JSONValue(parsing: answer.body), json.object != nil else {
            throw Failure("\(self.url) answered something that is not the publish API's")
        }
        guard let error = json["error"] else { return }
        throw PublishRefusal("\(error["message"]?.string ?? "refused") (error \(error["code"]?.integer ?? 0))")
    }
}

/// One message that was not taken; others may be.
struct PublishRefusal: ProgramError {
    let description: String
    let status: Int32 = 1

    init(_ description: String) { self.description = description }
}
