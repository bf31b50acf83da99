import HTTP1

/// The keys that may publish.
struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    /// - Parameter keys: empty ones are left out, lest a variable that was not set opens the door.
    init(_ keys: [String]) { self.keys = keys.filter { !$0.isEmpty }.map { Array($0.utf8) } }

    /// Looks for a key in `X-API-Key`, then in `Authorization: apikey …`, then in the query's `api_key`.
    func admit(_ request: WorkerRequest) -> Bool {
        if let key = request.fields["X-API-Key"] { return self.contains(key) }
        if let authorization = request.fields["Authorization"] {
            let words = authorization.split(separator: " ", maxSplits: 1)
            return words.count == 2 && words[0].lowercased() == "apikey" && self.contains(String(words[1]))
        }
        guard let key = QueryItems(request.query)["api_key"] else { return false }
        return self.contains(key)
    }

    /// Takes as long for a key that is nearly right as for one that is all wrong, so that none can be guessed byte by
    /// byte. Only the length of the offered key shows.
    private func contains(_ offered: String) -> Bool {
        let offered = Array(offered.utf8)
        var found = false
        for key in self.keys {
            var difference = UInt(bitPattern: key.count ^ offered.count)
            for index in offered.indices { difference |= UInt(key[index % key.count] ^ offered[index]) }
            found = (difference == 0) || found
        }
        return found
    }
}
