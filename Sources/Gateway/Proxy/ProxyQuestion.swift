import HTTP1
import JSON
import NIOCore

/// One question to the application. Two that are equal ask the same, with the same cookies.
struct ProxyQuestion: Hashable, Sendable {
    let event: ProxyEvent
    /// Fields of the request, in the order of the settings.
    let fields: [Field]
    /// A JSON object.
    let body: ByteBuffer

    struct Field: Hashable, Sendable {
        var name: String
        var value: String
    }
}

/// What every question says of the connection it is about.
struct ProxyAsker: Sendable {
    /// The connection's id; `nil` where the application is not told, so that equal connections ask equal questions.
    var client: String?
    /// `websocket`, `http_stream`, `sse`, …
    var transport = "websocket"
    var isProtobuf = false
    /// Data travels as base64.
    var isBinary = false
    /// `nil` while it is not known.
    var user: String?
    /// What the application said of the connection, for itself alone.
    var meta: JSONText?
}

/// What a question says beside it. Empty values are not said.
struct ProxyDetails: Equatable, Sendable {
    var channel = ""
    var method = ""
    var token = ""
    var name = ""
    var version = ""
    var data: ClientData?
    /// Channels that are wanted from the beginning.
    var channels: [String] = []
}

extension ProxyQuestion {
    init(_ event: ProxyEvent, _ asker: ProxyAsker, _ details: ProxyDetails, fields: [Field]) {
        self.event = event
        self.fields = fields
        var body = ProxyBody()
        if let client = asker.client { body.add("client", client) }
        body.add("transport", asker.transport)
        body.add("protocol", asker.isProtobuf ? "protobuf" : "json")
        body.add("encoding", asker.isBinary ? "binary" : "json")
        // Always said once it is known, also when it is nobody.
        if let user = asker.user { body.add("user", user, evenEmpty: true) }
        body.add("channel", details.channel)
        body.add("method", details.method)
        body.add("token", details.token)
        body.add("name", details.name)
        body.add("version", details.version)
        if let data = details.data {
            if asker.isBinary {
                body.add("b64data", Base64.encode(data.bytes))
            } else {
                body.add("data", json: data.json)
            }
        }
        body.add("channels", details.channels)
        if let meta = asker.meta { body.add("meta", json: meta.bytes) }
        self.body = body.finished
    }
}

/// Writes a JSON object member by member.
private struct ProxyBody {
    private var json = ByteBuffer(string: "{")
    private var isFirst = true

    var finished: ByteBuffer {
        var json = self.json
        json.writeStaticString("}")
        return json
    }

    mutating func add(_ key: StaticString, _ text: String, evenEmpty: Bool = false) {
        guard evenEmpty || !text.isEmpty else { return }
        self.begin(key)
        self.json.writeJSONString(text)
    }

    mutating func add(_ key: StaticString, json: ByteBuffer) {
        self.begin(key)
        self.json.writeImmutableBuffer(json)
    }

    mutating func add(_ key: StaticString, _ texts: [String]) {
        guard !texts.isEmpty else { return }
        self.begin(key)
        self.json.writeStaticString("[")
        for (index, text) in texts.enumerated() {
            if index > 0 { self.json.writeStaticString(",") }
            self.json.writeJSONString(text)
        }
        self.json.writeStaticString("]")
    }

    private mutating func begin(_ key: StaticString) {
        if !self.isFirst { self.json.writeStaticString(",") }
        self.isFirst = false
        self.json.writeStaticString("\"")
        self.json.writeStaticString(key)
        self.json.writeStaticString("\":")
    }
}
