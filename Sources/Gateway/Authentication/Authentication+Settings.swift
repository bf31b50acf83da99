import HTTP1
import Settings

extension Authentication {
    private static let ways = ["worker", "jwt", "django_ticket", "django_session", "proxy_header"]

    /// The key `authenticate` of a route; `nil` when it is missing or cannot be used. Nobody is let in because somebody
    /// forgot a line: it may be missing only on a route for this host.
    init?(readingFrom route: SettingsNode, captures: [String], isLoopbackOnly: Bool) {
        let wanted = "\"anonymous\", or an object with one of \(Self.ways.map { "\"\($0)\"" }.joined(separator: ", "))"
        guard let node = route.child("authenticate") else {
            guard isLoopbackOnly else {
                route.missing("authenticate", wanted: wanted)
                return nil
            }
            self = .anonymous
            return
        }
        if node.value.string == "anonymous" {
            self = .anonymous
            return
        }
        guard node.isObject else {
            node.fault("wanted \(wanted)")
            return nil
        }
        node.allow(Self.ways)
        let found: Authentication? =
            switch node.choice(Self.ways) {
            case "worker": WorkerAuthentication(readingFrom: node, captures: captures).map { .worker($0) }
            case "jwt": node.child("jwt").flatMap { TokenAuthentication(reading: $0) }.map { .jwt($0) }
            case "django_ticket":
                node.child("django_ticket").flatMap { DjangoTicket(reading: $0) }.map { .djangoTicket($0) }
            case "django_session":
                node.child("django_session").flatMap { DjangoSession(reading: $0) }.map { .djangoSession($0) }
            case "proxy_header": ProxyHeader(readingFrom: node).map { .proxyHeader($0) }
            default: nil
            }
        guard let found else { return nil }
        self = found
    }
}

extension WorkerAuthentication {
    /// `"worker": "/accounts/whoami"` or `"worker": {"path": …, "user_key": …, "anonymous_if": {…}, "cache": "5s"}`
    fileprivate init?(readingFrom node: SettingsNode, captures: [String]) {
        guard let child = node.child("worker"), child.isObject else {
            guard let path = node.workerPath("worker", captures: captures) else { return nil }
            self.init(path: path, faultsOf: node)
            return
        }
        child.allow(["path", "user_key", "anonymous_if", "cache"])
        let path = child.workerPath("path", captures: captures)
        let userKey = child.optional("user_key", String.self)
        let cache = child.optional("cache", SettingKind<Duration>.duration(in: .zero...(.seconds(300))))
        var anonymousIf: [String: String] = [:]
        for (key, value) in child.child("anonymous_if")?.members(limit: 10) ?? [] {
            guard let text = value.value.scalarText else {
                value.fault("wanted a text, a number, true or false")
                continue
            }
            anonymousIf[key] = text
        }
        guard let path else { return nil }
        self.init(path: path, faultsOf: child)
        self.userKey = userKey ?? self.userKey
        self.anonymousIf = anonymousIf
        self.cacheSeconds = cache?.components.seconds ?? 0
    }

    /// The question is asked to learn who it is: what it is asked with cannot depend on that.
    private init?(path: Template, faultsOf node: SettingsNode) {
        for variable in path.variables {
            switch variable {
            case .user, .claim:
                node.note(
                    "\"\(path.text)\" uses who the user is, which is what is being asked; wanted captures or {query.NAME}"
                )
                return nil
            case .capture, .query: break
            }
        }
        self.init(path: path)
    }
}

extension TokenAuthentication {
    init?(reading node: SettingsNode) {
        node.allow([
            "keys", "jwks", "query", "audience", "audience_regex", "issuer", "issuer_regex", "user_id_claim",
            "groups_claim", "leeway", "optional",
        ])
        let elements = node.elements("keys", limit: 16)
        let keys = elements.compactMap { TokenKey(reading: $0) }
        let keySet = node.child("jwks").flatMap { RemoteKeySet.read($0) }
        if node.child("jwks") == nil,
            node.child("keys") == nil || node.child("keys")?.isList == true && elements.isEmpty
        {
            node.missing("keys", wanted: "a list of keys, [ {\"algorithm\": \"HS256\", \"secret\": \"${NAME}\"} ]")
        }
        let audiencePattern = node.pattern("audience_regex")
        let issuerPattern = node.pattern("issuer_regex")
        let userClaim = node.optional("user_id_claim", String.self)
        let audience = node.optional("audience", String.self)
        let issuer = node.optional("issuer", String.self)
        let groupsClaim = node.optional("groups_claim", String.self)
        let leeway = node.optional("leeway", SettingKind<Duration>.duration(in: .zero...(.seconds(300))))
        let isOptional = node.optional("optional", Bool.self) ?? false
        let source = TokenSource(readingFrom: node, query: "token")
        guard !keys.isEmpty || keySet != nil, keys.count == elements.count else { return nil }
        self.init(keys: keys, source: source)
        self.keySet = keySet
        self.audiencePattern = audiencePattern
        self.issuerPattern = issuerPattern
        self.userClaim = userClaim ?? self.userClaim
        self.audience = audience
        self.issuer = issuer
        self.groupsClaim = groupsClaim
        self.leeway = leeway?.components.seconds ?? self.leeway
        self.isOptional = isOptional
    }
}

extension TokenKey {
    fileprivate init?(reading node: SettingsNode) {
        guard node.allow(["algorithm", "secret", "public_key", "kid", "valid_until"]) else { return nil }
        let algorithm = node.required("algorithm", SettingKind<String>.oneOf(Self.algorithms))
        let kid = node.optional("kid", String.self)
        let validUntil = node.optional(
            "valid_until", SettingKind<Int>.integer(in: 1...(1 << 40), unit: "seconds since 1970"))
        guard let algorithm else { return nil }
        let isShared = algorithm.hasPrefix("HS")
        let name = isShared ? "secret" : "public_key"
        node.refuse(
            isShared ? "public_key" : "secret", "is not for \(algorithm), wanted \"\(name)\"; remove it")
        let text = node.required(
            name, SettingKind.string(isShared ? "a secret, for example \"${JWT_SECRET}\"" : "a public key in PEM"),
            isSecret: true)
        guard let text else { return nil }
        do {
            self = try TokenKey(algorithm: algorithm, text, id: kid)
            if let validUntil { self.validUntil = Int64(validUntil) }
        } catch {
            node.child(name, isSecret: true)?.fault("\(error)")
            return nil
        }
    }
}

extension SettingsNode {
    fileprivate func pattern(_ key: String) -> TextPattern? {
        self.optional(
            key,
            SettingKind<String>.string("a POSIX extended regular expression").converted { text in
                try TextPattern(text)
            } back: { pattern in
                pattern.text
            })
    }
}

extension TokenSource {
    /// The key `query`; `false` looks for nothing in URLs.
    fileprivate init(readingFrom node: SettingsNode, query name: String) {
        guard let child = node.child("query") else {
            self.init(query: name)
            return
        }
        guard child.value.bool != false else {
            self.init(query: nil)
            return
        }
        let read = child.read(SettingKind<String>.string("the name of a query item, or false"))
        self.init(query: read?.isEmpty == true ? nil : read)
    }
}

extension SettingsNode {
    /// `secret` or `secrets`; `nil`, and a fault, without any.
    fileprivate var secrets: [String]? {
        if self.child("secret") != nil, self.child("secrets") != nil {
            self.note("says \"secret\" and \"secrets\", wanted only one of the two")
            return nil
        }
        let secrets: [String]?
        if self.child("secrets") == nil {
            secrets = self.required(
                "secret", SettingKind.string("SECRET_KEY, for example \"${DJANGO_SECRET_KEY}\""), isSecret: true
            )
            .map { [$0] }
        } else {
            secrets = self.optional("secrets", [String].settingKind, isSecret: true)
        }
        guard let secrets else { return nil }
        guard !secrets.isEmpty, !secrets.contains("") else {
            self.note("has an empty secret, wanted SECRET_KEY of the Django settings")
            return nil
        }
        return secrets
    }

    /// A time in whole seconds, at least one.
    fileprivate func seconds(_ key: String) -> Int64? {
        self.optional(key, SettingKind<Duration>.duration(in: .seconds(1)...(.seconds(31_536_000))))?.components.seconds
    }
}

extension DjangoTicket {
    fileprivate init?(reading node: SettingsNode) {
        guard node.allow(["secret", "secrets", "salt", "max_age", "query", "optional"]) else { return nil }
        let secrets = node.secrets
        let salt = node.required("salt", wanted: "the salt the view signs with, for example \"carillon\"") { $0 }
        let maxAge = node.seconds("max_age") ?? 60
        let source = TokenSource(readingFrom: node, query: "ticket")
        let isOptional = node.optional("optional", Bool.self) ?? false
        guard let secrets, let salt else { return nil }
        self.init(secrets: secrets, salt: salt, maxAge: maxAge, source: source, isOptional: isOptional)
    }
}

extension DjangoSession {
    fileprivate init?(reading node: SettingsNode) {
        guard node.allow(["secret", "secrets", "cookie", "max_age"]) else { return nil }
        let secrets = node.secrets
        let cookie = node.optional("cookie", String.self)
        let maxAge = node.seconds("max_age")
        guard let secrets else { return nil }
        self.init(secrets: secrets, cookie: cookie ?? "sessionid", maxAge: maxAge ?? 1_209_600)
    }
}

extension ProxyHeader {
    /// `"proxy_header": "X-Remote-User"` or `"proxy_header": {"name": …, "optional": true}`
    fileprivate init?(readingFrom node: SettingsNode) {
        guard let child = node.child("proxy_header"), child.isObject else {
            guard let name = node.headerName("proxy_header") else { return nil }
            self.init(name: name)
            return
        }
        child.allow(["name", "optional"])
        let isOptional = child.optional("optional", Bool.self) ?? false
        guard let name = child.headerName("name") else { return nil }
        self.init(name: name, isOptional: isOptional)
    }
}

extension SettingsNode {
    fileprivate func headerName(_ key: String) -> String? {
        let wanted = "the name of a header, for example \"X-Remote-User\""
        return self.required(key, wanted: wanted) { text throws(RouteError) in
            guard HeaderFields.isValidName(text) else { throw RouteError("wanted \(wanted)") }
            return text
        }
    }
}
