/// What FastCGI applications are told besides the request.
package struct FastCGIOptions: Sendable, Equatable {
    /// The folder of scripts, as the application sees it, such as `/srv/site`; `nil` for applications that have none and
    /// get the whole path as `PATH_INFO`.
    package var root: String?
    /// The script for a path that ends with a slash.
    package var index = "index.php"
    /// The script for paths that name none, such as `/index.php`; `nil` takes the path itself.
    package var script: String?
    /// What scripts' names end with.
    package var suffix = ".php"
    /// Without `root`: the part of the path that is the application's name (`SCRIPT_NAME`), such as `/app`.
    package var prefix = ""
    /// Further parameters; they win over ours.
    package var parameters: [String: String] = [:]
    /// Whether connections are used again.
    package var keepsConnections = true

    package init() {}
}

/// A path as script and rest (RFC 3875 sections 4.1.13 and 4.1.5).
struct ScriptPath: Equatable {
    /// `SCRIPT_NAME`
    var name: String
    /// `PATH_INFO`
    var info: String

    /// - Parameter path: with its encoding undone, and without segments of dots; begins with `/`.
    init(_ path: String, options: FastCGIOptions) {
        guard options.root != nil else {
            let isBelow = path.hasPrefix(options.prefix + "/") || path == options.prefix
            self.name = isBelow ? options.prefix : ""
            self.info = isBelow ? String(path.dropFirst(options.prefix.count)) : path
            return
        }
        if let end = Self.endOfScript(path, suffix: options.suffix) {
            self.name = String(path[..<end])
            self.info = String(path[end...])
        } else {
            self.name = options.script ?? (path.hasSuffix("/") ? path + options.index : path)
            self.info = ""
        }
    }

    /// Where the first segment that ends with `suffix` ends. The first, because what follows it is the script's to read:
    /// `/a.php/b.php` must not run `b.php`.
    private static func endOfScript(_ path: String, suffix: String) -> String.Index? {
        guard !suffix.isEmpty else { return nil }
        var start = path.startIndex
        while start < path.endIndex {
            let next = path[start...].dropFirst().firstIndex(of: "/") ?? path.endIndex
            let segment = path[start..<next]
            if segment.hasSuffix(suffix), segment.utf8.count > suffix.utf8.count + 1 { return next }
            start = next
        }
        return nil
    }
}
