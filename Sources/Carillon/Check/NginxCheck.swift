import Settings

/// What goes wrong between nginx and browsers that stay: found by reading the configuration, without running nginx.
struct NginxCheck {
    /// `gateway.path_prefix`.
    let prefix: String
    /// `gateway.ping_interval`.
    let pingInterval: Duration
    /// `gateway.allowed_origins`.
    var allowedOrigins = ["self"]
    let path: String

    /// All findings in the servers of a configuration that pass the prefix on to somebody.
    func findings(in text: String) -> [Finding] {
        do throws(Finding) {
            let directives = try NginxFile.parse(text, path: self.path)
            let servers = self.servers(in: directives, [])
            guard !servers.isEmpty else { return [self.finding(nil, "has no \"server\" block to look at")] }
            return servers.flatMap { server, outer in self.findings(of: server, outer) }
        } catch {
            return [error]
        }
    }

    /// Every server with the blocks around it, the nearest first.
    private func servers(
        in directives: [NginxDirective], _ outer: [[NginxDirective]]
    ) -> [(NginxDirective, [[NginxDirective]])] {
        directives.flatMap { directive -> [(NginxDirective, [[NginxDirective]])] in
            if directive.name == "server", !directive.block.isEmpty { return [(directive, [directives] + outer)] }
            return directive.name == "http" ? self.servers(in: directive.block, [directives] + outer) : []
        }
    }

    private func findings(of server: NginxDirective, _ outer: [[NginxDirective]]) -> [Finding] {
        let locations = server.block.filter { $0.name == "location" }
        guard let location = self.location(for: self.prefix, in: locations) else { return [] }
        let levels = [location.block, server.block] + outer
        for pass in ["fastcgi_pass", "uwsgi_pass", "scgi_pass"]
        where location.block.contains(where: { $0.name == pass }) {
            return [self.finding(location.line, "\(pass) carries no WebSocket; pass \(self.prefix) with proxy_pass")]
        }
        guard location.block.contains(where: { $0.name == "proxy_pass" }) else { return [] }
        return self.upgradeFindings(location, levels) + self.timeFindings(location, levels)
            + self.hostFindings(location, levels, server) + self.originFindings(server)
    }

    /// The location that nginx takes for `path`: an exact one, else the longest prefix. Regular expressions are not looked at.
    private func location(for path: String, in locations: [NginxDirective]) -> NginxDirective? {
        func pattern(_ location: NginxDirective) -> String? {
            switch location.arguments.first {
            case "~", "~*", nil: nil
            case "=", "^~": location.arguments.last
            default: location.arguments.first
            }
        }
        return locations.filter { pattern($0).map { path.hasPrefix($0) || path.hasPrefix($0 + "/") } ?? false }
            .max { (pattern($0)?.count ?? 0) < (pattern($1)?.count ?? 0) }
    }

    // MARK: Rules

    private func upgradeFindings(_ location: NginxDirective, _ levels: [[NginxDirective]]) -> [Finding] {
        var findings: [Finding] = []
        if self.value("proxy_http_version", levels)?.arguments.first != "1.1" {
            findings.append(
                self.finding(location.line, "no WebSocket can be opened: add \"proxy_http_version 1.1;\""))
        }
        let headers = self.headers(levels)
        if headers["upgrade"] != "$http_upgrade" {
            findings.append(
                self.finding(
                    location.line, "no WebSocket can be opened: add \"proxy_set_header Upgrade $http_upgrade;\""))
        }
        switch headers["connection"]?.lowercased() {
        case nil, "", "close", "keep-alive":
            findings.append(
                self.finding(
                    location.line,
                    "no WebSocket can be opened: add \"proxy_set_header Connection $connection_upgrade;\" and the map that "
                        + "nginx/carillon.conf has"))
        case "upgrade":
            findings.append(
                self.finding(
                    location.line,
                    "event streams ask for an upgrade too: take $connection_upgrade and the map that "
                        + "nginx/carillon.conf has"))
        default: break
        }
        return findings
    }

    private func timeFindings(_ location: NginxDirective, _ levels: [[NginxDirective]]) -> [Finding] {
        var findings: [Finding] = []
        let buffering = self.value("proxy_buffering", levels)
        if buffering?.arguments.first != "off" {
            findings.append(
                self.finding(
                    buffering?.line ?? location.line,
                    "event streams would be collected instead of passed on: add \"proxy_buffering off;\""))
        }
        let timeout = self.value("proxy_read_timeout", levels)
        let time = timeout?.arguments.first.flatMap(DurationText.duration) ?? .seconds(60)
        if time <= self.pingInterval {
            findings.append(
                self.finding(
                    timeout?.line ?? location.line,
                    "quiet connections are cut after \(DurationText.text(time)), before the gateway's next ping "
                        + "(gateway.ping_interval \(DurationText.text(self.pingInterval))): raise proxy_read_timeout"))
        }
        return findings
    }

    private func hostFindings(
        _ location: NginxDirective, _ levels: [[NginxDirective]], _ server: NginxDirective
    ) -> [Finding] {
        let headers = self.headers(levels)
        let trouble: String
        switch headers["x-forwarded-host"] ?? headers["host"] {
        case nil, "$proxy_host":
            trouble = "the gateway does not learn which host browsers asked for, and refuses all pages"
        case "$host" where Self.hasUnusualPort(server):
            trouble = "$host is without the port that browsers asked for, and the gateway refuses all pages"
        default: return []
        }
        return [
            self.finding(
                location.line, "\(trouble) (403, origin): add \"proxy_set_header Host $http_host;\"")
        ]
    }

    /// Whether browsers name a port in their requests.
    private static func hasUnusualPort(_ server: NginxDirective) -> Bool {
        server.block.filter { $0.name == "listen" }.contains { listen in
            let address = listen.arguments.first ?? ""
            let port = address.split(separator: ":").last.flatMap { Int($0) } ?? 80
            return !address.hasPrefix("unix:") && port != 80 && port != 443
        }
    }

    /// Names whose own pages the gateway would refuse.
    private func originFindings(_ server: NginxDirective) -> [Finding] {
        guard !self.allowedOrigins.contains(where: { $0 == "self" || $0 == "*" }) else { return [] }
        let names = server.block.filter { $0.name == "server_name" }
        return names.flatMap { directive in
            directive.arguments.filter { Self.isPlainName($0) && !self.allows($0) }.map { name in
                self.finding(
                    directive.line,
                    "pages of \(name) would be refused (403, origin): gateway.allowed_origins names neither it nor \"self\""
                )
            }
        }
    }

    /// Whether it is a name that can be looked for: no catch-all, pattern or regular expression.
    private static func isPlainName(_ name: String) -> Bool {
        name.contains(".") && !name.contains(where: { "*~$_\"".contains($0) })
    }

    private func allows(_ name: String) -> Bool {
        self.allowedOrigins.contains { entry in
            let authority = entry.split(separator: "/").last ?? ""
            let host = authority.prefix { $0 != ":" }.lowercased()
            let name = name.lowercased()
            return host.hasPrefix(".") ? name.hasSuffix(host) || name == host.dropFirst() : name == host
        }
    }

    // MARK: nginx's inheritance

    /// The directive that counts: the one at the innermost level that has it.
    private func value(_ name: String, _ levels: [[NginxDirective]]) -> NginxDirective? {
        for level in levels {
            if let directive = level.last(where: { $0.name == name }) { return directive }
        }
        return nil
    }

    /// The fields set for the upstream, by lower-case name. nginx takes those of the innermost level that sets any, and of
    /// no other.
    private func headers(_ levels: [[NginxDirective]]) -> [String: String] {
        let level = levels.first { $0.contains { $0.name == "proxy_set_header" } } ?? []
        return Dictionary(
            level.filter { $0.name == "proxy_set_header" && $0.arguments.count == 2 }
                .map { ($0.arguments[0].lowercased(), $0.arguments[1]) }, uniquingKeysWith: { $1 })
    }

    private func finding(_ line: Int?, _ text: String) -> Finding { Finding(self.path, line, text) }
}
