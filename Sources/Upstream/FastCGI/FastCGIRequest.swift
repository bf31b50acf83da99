package import HTTP1
package import NIOCore

/// What a FastCGI application is told of the connection that a request came on.
package struct FastCGIFacts: Sendable {
    /// The browser's; empty for a process on this host.
    package var remoteAddress = ""
    package var remotePort: Int?
    package var isSecure = false
    /// `HTTP/1.1`
    package var version = "HTTP/1.1"
    /// Parameters that tell of the browser's certificate.
    package var certificate: [(name: String, value: String)] = []

    package init() {}
}

/// Requests as parameters of FastCGI.
package enum FastCGIRequest {
    /// Appends the begin of a request and its parameters; its body, or the body's end, comes next.
    ///
    /// - Parameters:
    ///   - head: what another upstream would be sent: without what is about one connection, with what is said of the browser.
    ///   - bodyLength: bytes of the body that follows.
    /// - Throws: `badEncoding` when the path hides a NUL.
    package static func write(
        _ head: RequestHead, facts: FastCGIFacts, options: FastCGIOptions, bodyLength: Int, to out: inout ByteBuffer
    ) throws(HTTP1Error) {
        var pairs = ByteBuffer()
        func put(_ name: String, _ value: String) {
            if options.parameters[name] == nil { pairs.writeFastCGIPair(name.utf8, value.utf8) }
        }
        for (name, value) in try Self.script(head, options) { put(name, value) }
        let (name, port) = Self.server(head.fields["Host"] ?? "", isSecure: facts.isSecure)
        put("GATEWAY_INTERFACE", "CGI/1.1")
        put("SERVER_SOFTWARE", "carillon")
        put("SERVER_PROTOCOL", facts.version)
        put("SERVER_NAME", name)
        put("SERVER_PORT", port)
        put("REQUEST_METHOD", head.method)
        put("REQUEST_URI", head.target)
        put("QUERY_STRING", head.query)
        put("REQUEST_SCHEME", facts.isSecure ? "https" : "http")
        if facts.isSecure { put("HTTPS", "on") }
        put("REMOTE_ADDR", facts.remoteAddress)
        if let port = facts.remotePort { put("REMOTE_PORT", String(port)) }
        put("CONTENT_TYPE", head.fields["Content-Type"] ?? "")
        put("CONTENT_LENGTH", bodyLength > 0 || !["GET", "HEAD"].contains(head.method) ? String(bodyLength) : "")
        // Without it PHP takes itself for attacked.
        put("REDIRECT_STATUS", "200")
        for (name, value) in facts.certificate { put(name, value) }
        for (name, value) in Self.fields(head.fields) { put(name, value) }
        for (name, value) in options.parameters.sorted(by: { $0.key < $1.key }) {
            pairs.writeFastCGIPair(name.utf8, value.utf8)
        }
        out.writeFastCGIBegin(keepsConnection: options.keepsConnections)
        out.writeFastCGIParameters(pairs)
    }

    private static func script(
        _ head: RequestHead, _ options: FastCGIOptions
    ) throws(HTTP1Error) -> [(String, String)] {
        let path = head.path == "*" ? "/" : RequestPath.resolved(head.path[...].utf8)
        guard !path.utf8.contains(0) else { throw HTTP1Error(.badEncoding, "The path hides a NUL.") }
        let script = ScriptPath(path, options: options)
        var pairs = [
            ("SCRIPT_NAME", script.name), ("PATH_INFO", script.info), ("DOCUMENT_URI", script.name + script.info),
        ]
        if let root = options.root {
            let folder = root.hasSuffix("/") ? String(root.dropLast()) : root
            pairs += [("DOCUMENT_ROOT", folder), ("SCRIPT_FILENAME", folder + script.name)]
            if !script.info.isEmpty { pairs.append(("PATH_TRANSLATED", folder + script.info)) }
        }
        return pairs
    }

    /// The host that was asked for, and its port.
    private static func server(_ host: String, isSecure: Bool) -> (name: String, port: String) {
        let standard = isSecure ? "443" : "80"
        let end = host.utf8.first == UInt8(ascii: "[") ? host.firstIndex(of: "]") ?? host.startIndex : host.startIndex
        guard let colon = host[end...].lastIndex(of: ":") else { return (host, standard) }
        let port = host[host.index(after: colon)...]
        return (String(host[..<colon]), port.isEmpty ? standard : String(port))
    }

    /// The fields as `HTTP_…`: one for each name, as nobody can tell two apart. Names that would fall together with others
    /// (`X_Real_IP` with `X-Real-IP`) are left out, so that nobody can say another's word; and `Proxy`, which programs take
    /// for their own setting.
    private static func fields(_ fields: HeaderFields) -> [(String, String)] {
        var pairs: [(name: String, value: String)] = []
        var places: [String: Int] = [:]
        for (name, value) in fields where Self.isPlain(name) {
            let parameter =
                "HTTP_"
                + name.uppercased().split(separator: "-", omittingEmptySubsequences: false).joined(separator: "_")
            if let place = places[parameter] {
                pairs[place].value += (parameter == "HTTP_COOKIE" ? "; " : ", ") + value
            } else {
                places[parameter] = pairs.count
                pairs.append((parameter, value))
            }
        }
        return pairs
    }

    private static let leftOut: Set<String> = [
        "content-length", "content-type", "proxy", "expect", "transfer-encoding",
    ]

    private static func isPlain(_ name: String) -> Bool {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return isPlain && !Self.leftOut.contains(name.lowercased())
    }
}
