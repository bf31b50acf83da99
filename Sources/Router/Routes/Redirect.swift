import HTTP1

/// Another place that browsers are sent to.
package struct Redirect: Sendable, Equatable {
    package static let statuses = [301, 302, 303, 307, 308]

    /// A URL or path. `{uri}` is the request's path and query, `{path}` its path, `{host}` its host (without a port).
    package var location: String
    /// 308 and 307 keep the method, 301 and 302 may not, 303 asks for a GET.
    package var status: Int

    package init(to location: String, status: Int = 308) {
        self.location = location
        self.status = status
    }

    /// Where the request for `target` goes. What comes from the browser keeps its place: a line of a head cannot be broken,
    /// because a target and a `Host` that were taken have no byte that could.
    func location(target: String, host: String?) -> String {
        guard self.location.contains("{") else { return self.location }
        let path = String(RequestPath.pathOnly(target))
        var location = self.location
        // A path of two slashes at the front would name another host where nothing stands before it.
        let isBare = location.hasPrefix("{uri}") || location.hasPrefix("{path}")
        for (name, value) in [("{uri}", target), ("{path}", path)] {
            let value = isBare ? "/" + value.drop { $0 == "/" || $0 == "\\" } : value
            location = location.split(separator: name, omittingEmptySubsequences: false).joined(separator: value)
        }
        let name = host.map(HostPattern.name(of:)) ?? ""
        return location.split(separator: "{host}", omittingEmptySubsequences: false).joined(separator: name)
    }
}
