import JSON
package import Settings
import Upstream

extension LifecycleConfiguration {
    package static let setting = StructuredSetting(
        "gateway.lifecycle", wanted: "an object, { \"endpoint\": …, \"secret\": … }", default: JSONValue(.null),
        help: """
            Tells the application who connects and disconnects, which users come online and go offline, and which \
            channels have subscribers. docs/lifecycle.md tells how. Without it nobody is told.
            """,
        example: """
            { "endpoint": "/carillon/events", "secret": "${CARILLON_LIFECYCLE_SECRET}" }
            """,
        parts: [
            SettingPart(
                name: "endpoint", wanted: Self.endpointKind.wanted, defaultText: "none",
                help: "Where events are posted: a path of the application behind the router, or another server's URL."),
            SettingPart(
                name: "secret", wanted: Self.secretKind.wanted, defaultText: "none",
                help: "The key of the signature that every request has."),
        ] + Self.keys.map(\.part))

    private static let defaults = LifecycleConfiguration()

    private static let keys = [
        SettingKey(
            "events", \.events, of: Self.defaults, SettingKind<LifecycleEvent.Kind>.oneOf.list(atMost: 10),
            "What the application is told."),
        SettingKey(
            "linger", \.linger, of: Self.defaults, .wholeSeconds(atMost: 3_600),
            "How long a user may be without a connection, and a channel without subscribers, before it counts."),
        SettingKey(
            "batch", \.batch, of: Self.defaults, .integer(in: 1...10_000, unit: "events"),
            "Events of one request at most."),
        SettingKey(
            "timeout", \.timeout, of: Self.defaults, .wholeSeconds(atLeast: 1, atMost: 300),
            "How long the application may take to answer; then it is told again."),
        SettingKey(
            "backlog", \.backlog, of: Self.defaults, .integer(in: 1...1_000_000, unit: "events"),
            "Events that may wait for the application; then the oldest are dropped, and it is told their numbers."),
        SettingKey(
            "gateway_backlog", \.gatewayBacklog, of: Self.defaults,
            .integer(in: 1...1_000_000),
            "What may wait at a gateway while the layer takes nothing; then it is forgotten, and what there is is told anew."
        ),
        SettingKey(
            "gateway_timeout", \.patience, of: Self.defaults, .wholeSeconds(atLeast: 3, atMost: 300),
            "After so long a silence a gateway counts as dead, and its browsers as gone."),
    ]

    private static var secretKind: SettingKind<String> {
        let wanted = "a secret of at least 16 characters, for example \"${CARILLON_LIFECYCLE_SECRET}\""
        return SettingKind<String>.string(wanted).converted { text in
            guard text.utf8.count >= 16 else { throw SettingMismatch(wanted: wanted) }
            return text
        } back: {
            $0
        }
    }

    private static var endpointKind: SettingKind<Endpoint> {
        let wanted = "\"/PATH\", or \"https://HOST/PATH\""
        return SettingKind<String>.string(wanted).converted { text in
            guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
                throw SettingMismatch(wanted: wanted)
            }
            if text.hasPrefix("/"), !text.hasPrefix("//") { return .workers(path: text) }
            guard text.hasPrefix("https://") || text.hasPrefix("http://"), let colon = text.firstIndex(of: ":") else {
                throw SettingMismatch(wanted: wanted)
            }
            let authority = text[text.index(colon, offsetBy: 3)...]
            let path = authority.firstIndex(of: "/") ?? authority.endIndex
            let target = authority[path...]
            return .server(
                try UpstreamAddress(parsing: String(text[..<path])), target: target.isEmpty ? "/" : String(target))
        } back: {
            switch $0 {
            case .workers(let path): path
            case .server(let address, let target): "\(address)\(target)"
            }
        }
    }

    /// `nil` when there is no such setting; faults are the reader's.
    package init?(reading reader: SettingsReader) {
        guard let node = reader.node(Self.setting), !node.isNull,
            node.allow(["endpoint", "secret"] + Self.keys.map(\.name))
        else { return nil }
        self.init()
        for key in Self.keys { key.read(node, into: &self) }
        let endpoint = node.required("endpoint", Self.endpointKind)
        let secret = node.required("secret", Self.secretKind, isSecret: true)
        guard let endpoint, let secret else { return nil }
        self.endpoint = endpoint
        self.secret = secret
    }
}
