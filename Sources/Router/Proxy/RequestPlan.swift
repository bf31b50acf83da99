import HTTP1

/// What is to be done with one request, told from its head alone.
///
/// A class, because it is handed about often, and copying a value costs a reference for each of its texts.
final class RequestPlan {
    /// Why a request is answered by the proxy itself, and with which status.
    struct Refusal: Error, Equatable {
        var status: Int
        /// In a word, for the log and for who asks from this host.
        var code: String
        /// One sentence for the reader.
        var reason: String
    }

    let route: Route
    let method: String
    /// In origin form (or `*`): what the upstream is asked for.
    let target: String
    /// The request's own `Host`; HTTP/1.0 may do without.
    let host: String?
    /// The host of an absolute target, which counts instead of `Host` (RFC 9112 section 3.2.2).
    let hostFromTarget: String?
    var framing: BodyFraming
    let isHTTP10: Bool
    /// The browser wants to use the connection again.
    let keepsAlive: Bool
    /// A WebSocket handshake: a 101 from the upstream makes a tunnel.
    let wantsWebSocket: Bool
    /// How many proxies an OPTIONS may still pass; `nil` when it does not say, and for other methods (RFC 9110 section
    /// 7.6.2).
    let maxForwards: Int?
    /// It said `TE: trailers`.
    let takesTrailers: Bool

    /// - Parameters:
    ///   - head: as the parser took it: a valid target, and one valid `Host` where there must be one.
    ///   - routes: who answers what.
    init(_ head: RequestHead, routes: RouteTable) throws(Refusal) {
        guard head.method != "CONNECT", head.method != "TRACE" else {
            // A tunnel to anywhere, and an echo of cookies: neither is for a browser to ask of a site.
            throw Refusal(status: 405, code: "method_not_taken", reason: "\(head.method) is not answered here.")
        }
        do throws(HTTP1Error) {
            self.framing = try head.framing()
        } catch {
            throw Refusal(status: error.status, code: error.code.rawValue, reason: error.message)
        }
        self.method = head.method
        self.isHTTP10 = head.version == .http10
        self.keepsAlive = head.keepAlive
        self.host = head.fields[.host]
        if head.target.utf8.first == UInt8(ascii: "/") || head.target == "*" {
            self.target = head.target
            self.hostFromTarget = nil
        } else {
            self.target = String(head.originForm)
            self.hostFromTarget = head.authority
        }
        do throws(RouteTable.Ambiguous) {
            self.route = try routes.route(target: self.target, host: self.hostFromTarget ?? self.host)
        } catch {
            throw Refusal(status: 400, code: "ambiguous_path", reason: "The path can be read in two ways.")
        }
        self.wantsWebSocket = Self.asksForWebSocket(head) && self.framing == .none
        self.maxForwards = head.method == "OPTIONS" ? head.fields["max-forwards"].flatMap { Int($0) } : nil
        self.takesTrailers = head.fields.hasToken("trailers", in: .te)
    }

    /// Only WebSocket: passing on any other protocol (`h2c`) would let a browser talk past the proxy's rules.
    private static func asksForWebSocket(_ head: RequestHead) -> Bool {
        head.fields.contains(.upgrade) && head.version == .http11 && head.method == "GET"
            && head.fields.hasToken("websocket", in: .upgrade) && head.fields.hasToken("upgrade", in: .connection)
    }
}
