import HTTP1
import JSON
import Settings
import Upstream

extension ProxyConfiguration {
    private static let defaults = ProxyConfiguration(.workers(path: "/"))

    private static func key<Value: Sendable>(
        _ name: String, _ place: any (WritableKeyPath<ProxyConfiguration, Value> & Sendable),
        _ kind: SettingKind<Value>,
        _ help: String
    ) -> SettingKey<ProxyConfiguration> {
        SettingKey(name, place, of: Self.defaults, kind, help)
    }

    /// All keys but those with a structure of their own, in the order of the page.
    static let keys = [
        Self.key(
            "endpoint", \.endpoint, Self.endpointKind,
            "Where the application is asked, with POST: a path at `router.workers.upstreams`, or a URL of its own."),
        Self.key(
            "timeout", \.timeout, .milliseconds(10, 600_000),
            "How long its answer may take; then the browser is told to try again later."),
        Self.key(
            "http_headers", \.fields, SettingKind<String>.fieldName.list(atMost: 100),
            "Fields of the browser's own request that are passed on."),
        Self.key(
            "emulated_headers", \.emulatedFields, SettingKind<String>.fieldName.list(atMost: 100),
            "Fields that are taken from `headers` of the browser's `connect`, which it can choose freely."),
        Self.key(
            "include_client", \.saysClient, .bool,
            "The connection's id is said. Without it equal questions of several connections are asked once, and answers with `Cache-Control: max-age` are remembered for all of them."
        ),
        Self.key("include_connection_meta", \.saysMeta, .bool, "The connection's `meta` is said."),
        Self.key("binary_encoding", \.isBinary, .bool, "Data is said as base64, in `b64data`."),
        Self.key(
            "batch_size", \.batchSize, .integer(in: 1...1_000, unit: "questions"),
            "Questions of one request; above 1 they have the form of docs/event-proxy.md."),
        Self.key(
            "batch_window", \.batchWindow, .milliseconds(0, 1_000),
            "How long the first question of a batch waits for others."),
        Self.key(
            "max_concurrency", \.concurrency, .integer(in: 1...10_000, unit: "requests"),
            "Requests under way at most. How many there are at a time adapts to how long the application takes."),
        Self.key(
            "queue", \.waiting, .integer(in: 0...1_000_000, unit: "questions"),
            "Questions that may wait for their turn; for one more the browser is told to try again later."),
        Self.key("queue_timeout", \.patience, .milliseconds(10, 600_000), "How long one may wait."),
        Self.key(
            "cache_size", \.cached, .integer(in: 0...1_000_000, unit: "answers"), "Answers that are remembered at most."
        ),
    ]

    /// Parts of their own.
    private static let structures = ["static_headers", "status_to_code_transforms"]

    /// Faults are the reader's; `nil` without an endpoint.
    ///
    /// - Parameter more: keys that are somebody else's.
    init?(reading node: SettingsNode, more: [String] = []) {
        guard node.allow(Self.keys.map(\.name) + Self.structures + more) else { return nil }
        guard node.child("endpoint") != nil else {
            node.missing("endpoint", wanted: Self.endpointKind.wanted)
            return nil
        }
        self = Self.defaults
        for key in Self.keys { key.read(node, into: &self) }
        for (name, value) in node.child("static_headers", isSecret: true)?.members() ?? [] {
            guard FieldName.isOne(name) else {
                value.fault("wanted the name of a field")
                continue
            }
            if let value = value.read(SettingKind<String>.fieldValue) {
                self.staticFields.append(.init(name: name, value: value))
            }
        }
        for transform in node.elements("status_to_code_transforms", limit: 100) {
            if let (status, answer) = Self.transform(transform) { self.statuses[status] = answer }
        }
    }

    /// `{"status_code": 403, "to_error": {"code": 403, "message": "no"}}`, or with `to_disconnect`.
    private static func transform(_ node: SettingsNode) -> (Int, ProxyAnswer)? {
        guard node.allow(["status_code", "to_error", "to_disconnect"]),
            let status = node.required("status_code", SettingKind<Int>.integer(in: 100...599)),
            let choice = node.choice(["to_error", "to_disconnect"]), let target = node.child(choice)
        else { return nil }
        if choice == "to_error" {
            guard target.allow(["code", "message", "temporary"]),
                let code = target.required("code", SettingKind<Int>.integer(in: 400...1_999))
            else { return nil }
            let isTemporary = target.optional("temporary", Bool.self) ?? false
            return (
                status,
                .error(
                    ClientError(
                        UInt32(code), target.optional("message", String.self) ?? "", isTemporary: isTemporary))
            )
        }
        guard target.allow(["code", "reason"]),
            let code = target.required("code", SettingKind<Int>.integer(in: 4_000...4_999))
        else { return nil }
        return (status, .disconnect(ClientDisconnect(UInt16(code), target.optional("reason", String.self) ?? "")))
    }

    private static let endpointKind = SettingKind<String>.string(
        "a path such as \"/centrifugo/connect\", or a URL such as \"http://127.0.0.1:8080/centrifugo/connect\""
    ).converted { text in
        try Endpoint(text)
    } back: {
        $0.text
    }
}

extension ProxyConfiguration.Endpoint {
    /// - Throws: for what is neither a path nor the URL of an HTTP server.
    init(_ text: String) throws(UpstreamAddressError) {
        let isVisible = text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        if text.hasPrefix("/"), isVisible {
            self = .workers(path: text)
            return
        }
        guard let scheme = ["http://", "https://"].first(where: text.hasPrefix), isVisible else {
            throw UpstreamAddressError(text: text, problem: "neither a path nor a URL with http or https")
        }
        let slash = text.dropFirst(scheme.count).firstIndex(of: "/") ?? text.endIndex
        let target = String(text[slash...])
        self = .server(try UpstreamAddress(parsing: String(text[..<slash])), target: target.isEmpty ? "/" : target)
    }

    /// Without the query, in which a secret may stand.
    var address: String { String(self.text.prefix { $0 != "?" }) }

    var text: String {
        switch self {
        case .workers(let path): path
        case .server(let address, let target): "\(address)\(target)"
        }
    }
}

/// The names of HTTP's fields (RFC 9110 section 5.1).
private enum FieldName {
    static func isOne(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { "!#$%&'*+-.^_`|~".utf8.contains($0) || Self.isLetterOrDigit($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}

extension SettingKind where Value == String {
    fileprivate static var fieldName: SettingKind<String> {
        let wanted = "names of fields such as \"Cookie\""
        return SettingKind<String>.string(wanted).converted { text in
            guard FieldName.isOne(text) else { throw SettingMismatch(wanted: wanted) }
            return text
        } back: {
            $0
        }
    }

    fileprivate static var fieldValue: SettingKind<String> {
        let wanted = "a text of one line"
        return SettingKind<String>.string(wanted).converted { text in
            guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { throw SettingMismatch(wanted: wanted) }
            return text
        } back: {
            $0
        }
    }
}

extension SettingKind where Value == Int {
    /// A time, as whole milliseconds.
    fileprivate static func milliseconds(_ least: Int64, _ most: Int64) -> SettingKind<Int> {
        SettingKind<Duration>.duration(in: .milliseconds(least)...(.milliseconds(most))).converted { duration in
            Int(clamping: Int64(duration / .milliseconds(1)))
        } back: {
            .milliseconds($0)
        }
    }
}
