import Files
import HTTP1
package import Settings

extension Route {
    package static let setting = StructuredSetting(
        "router.routes", wanted: "a list of routes, [ { \"host\": …, \"path\": …, \"pool\": … } ]",
        help: """
            Who answers which requests, where it is not the workers: by host and path prefix, a pool of router.pools, the \
            files of a folder, or a redirect. The longest path of the request's host counts. docs/router.md tells all keys.
            """,
        example: """
            [ { "path": "/static/", "folder": "/srv/site/static", "cache_control": "public, max-age=3600" },
              { "host": "www.example.org", "path": "/", "redirect": "https://example.org{uri}" },
              { "host": "*.example.org", "path": "/blog/", "pool": "php" } ]
            """)

    private static let keys = [
        "host", "path", "pool", "folder", "cache_control", "redirect", "status", "client_certificate",
    ]

    /// The routes of the settings; those with faults are left out, and `reader` has been told.
    ///
    /// - Parameters:
    ///   - pools: the names in `router.pools`, in their order.
    ///   - gatewayPath: no route may be below it, as nothing there would reach it.
    static func all(reading reader: SettingsReader, pools: [String], gatewayPath: String) -> [Route] {
        var routes: [Route] = []
        for node in reader.node(Self.setting)?.elements(limit: 1_000) ?? [] {
            guard let route = Route(reading: node, pools: pools, gatewayPath: gatewayPath) else { continue }
            if routes.contains(where: { $0.host == route.host && $0.path == route.path }) {
                node.child("path")?.fault("stands above already, for the same host; remove one")
                continue
            }
            routes.append(route)
        }
        return routes
    }

    private convenience init?(reading node: SettingsNode, pools: [String], gatewayPath: String) {
        guard node.allow(Self.keys) else { return nil }
        let wantedHost = "a host, such as \"example.org\" or \"*.example.org\""
        let host = node.child("host").map { child in
            child.read(
                SettingKind<String>.string(wantedHost).converted {
                    guard let pattern = HostPattern($0) else { throw SettingMismatch(wanted: wantedHost) }
                    return pattern
                } back: {
                    $0.description
                })
        }
        let wantedPath = "a path that begins with a slash, such as \"/static/\""
        let path = node.required("path", wanted: wantedPath) { text in
            guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= 256,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), RequestPath.isPlain(text[...].utf8),
                !text.contains("?"), !text.contains("#")
            else { throw SettingMismatch(wanted: wantedPath + ", without \"?\", \"#\", \"%\" and \"..\"") }
            guard gatewayPath.isEmpty || !text.hasPrefix(gatewayPath) else {
                throw SettingMismatch("is never used: \(gatewayPath) is the gateways' (router.gateways.path)")
            }
            return text
        }
        let rule = node.oneOf("client_certificate", ClientCertificateRule.self) ?? .optional
        guard let target = Self.target(reading: node, path: path ?? "/", pools: pools), let path else { return nil }
        if case .some(nil) = host { return nil }
        self.init(host: host ?? nil, path: path, target: target, clientCertificate: rule)
    }

    private static func target(reading node: SettingsNode, path: String, pools: [String]) -> Target? {
        let given = ["pool", "folder", "redirect"].filter { node.child($0) != nil }
        guard given.count == 1 else {
            node.note(
                "has \(given.isEmpty ? "none" : "more than one") of pool, folder and redirect; wanted one of them")
            return nil
        }
        switch given[0] {
        case "pool":
            let names = RouterPoolSettings.reserved + pools
            return node.optional("pool", .oneOf(names)).flatMap { names.firstIndex(of: $0) }.map(Target.pool)
        case "folder": return Self.folder(reading: node, path: path)
        default:
            guard let location = node.optional("redirect", String.self) else { return nil }
            let statuses = SettingKind<Int>.integer(in: 301...308).converted(wanted: "301, 302, 303, 307 or 308") {
                guard Redirect.statuses.contains($0) else { throw SettingMismatch(wanted: "301, 302, 303, 307 or 308") }
                return $0
            } back: {
                $0
            }
            guard location.hasPrefix("/") || location.contains("://") || location.hasPrefix("{"),
                location.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
            else {
                node.child("redirect")?.fault("wanted a URL or a path, such as \"https://example.org{uri}\"")
                return nil
            }
            return .redirect(Redirect(to: location, status: node.read("status", statuses, default: 308)))
        }
    }

    private static func folder(reading node: SettingsNode, path: String) -> Target? {
        guard let folder = node.optional("folder", String.self) else { return nil }
        guard folder.hasPrefix("/") else {
            node.child("folder")?.fault("wanted an absolute path, such as \"/srv/site/static\"")
            return nil
        }
        guard path.hasSuffix("/") else {
            node.child("path")?.fault("wanted a path that ends with a slash, for a folder")
            return nil
        }
        return .files(
            FileFolder(folder: folder, prefix: path, cacheControl: node.optional("cache_control", String.self)))
    }
}
