/// Where a token or ticket is looked for, in this order: `Authorization: Bearer`, the subprotocols, the query.
package struct TokenSource: Hashable, Sendable {
    /// `Authorization: Bearer TOKEN`: for clients that are no browsers, and event streams read with `fetch`.
    package var bearer = true
    /// `Sec-WebSocket-Protocol: carillon.token.TOKEN` (`Handshake.tokenSubprotocol`).
    package var subprotocol = true
    /// The query item with this name; `nil` for none, since URLs end up in logs.
    package var query: String?

    package init(query: String?) { self.query = query }

    func token(of handshake: Handshake) -> String? {
        if self.bearer, let value = handshake.head.fields["Authorization"], value.utf8.count > 7,
            value.prefix(7).lowercased() == "bearer "
        {
            return String(value.dropFirst(7).trimmingSpaces())
        }
        if self.subprotocol, let token = handshake.tokenInSubprotocols { return token }
        return self.query.flatMap { handshake.queryItem($0) }
    }

    /// For messages: where one could have been.
    var description: String {
        [
            self.bearer ? "Authorization" : nil, self.subprotocol ? "the subprotocol" : nil,
            self.query.map { "the query item \"\($0)\"" },
        ].compactMap { $0 }.joined(separator: ", ")
    }
}
