package import ChannelLayer
package import JSON

/// A plain route: who may connect under a path, which groups the connection follows, what becomes of messages in either
/// direction.
package struct RouteConfiguration: Sendable {
    package var path: PathPattern
    package var authentication: Authentication
    /// What `{user}` is for anonymous visitors; `nil` refuses them where a template needs the user.
    package var anonymousUser: String?
    /// The groups each connection follows, beside those its authentication names.
    package var groups: [Template]
    package var rules: RuleSet
    package var receive: ReceiveRule
    /// Which pages may connect; `nil` for the gateway's own setting.
    package var origins: OriginCheck?
    package var refusal: RefusalForm
    package var gap: GapBehaviour
    /// Whether only clients on this host are let in.
    package var isLoopbackOnly: Bool

    /// How a connection learns that it is not let in.
    package enum RefusalForm: String, Hashable, Sendable, CaseIterable {
        /// By the status of the answer to the handshake: 403, 429 or 503.
        case status
        /// A WebSocket is accepted and then closed with `Refusal.closeCode`: some clients come back after that only.
        case close
    }

    /// What connections do when the layer may have missed messages.
    package enum GapBehaviour: Hashable, Sendable {
        /// Nothing: the page does not mind.
        case ignore
        /// They are closed with 1012 "gap", so that the page connects again and loads its state anew.
        case close
        /// They stay and are sent this text, by which the page knows that it must load its state anew.
        case send(JSONText)
    }

    /// Groups of one connection at most.
    package static let groupLimit = 100

    package init(
        path: PathPattern, authentication: Authentication = .anonymous, groups: [Template] = [],
        rules: RuleSet = .builtIn, receive: ReceiveRule = .drop
    ) {
        self.path = path
        self.authentication = authentication
        self.anonymousUser = nil
        self.groups = groups
        self.rules = rules
        self.receive = receive
        self.origins = nil
        self.refusal = .status
        self.gap = .ignore
        self.isLoopbackOnly = false
    }

    /// The route of `carillon serve` without a settings file: anybody on this host follows the group the path names.
    package static func embedded(pathPrefix: String = "/channels/") throws(RouteError) -> RouteConfiguration {
        let path = try PathPattern(pathPrefix + "groups/{name}")
        var route = RouteConfiguration(
            path: path, groups: [try Template("{name}", captures: path.captureNames)],
            rules: RuleSet(rules: [], otherwise: .json))
        route.isLoopbackOnly = true
        return route
    }

    /// What is checked before anybody is asked who it is: the page's origin, and that the client is on this host if the
    /// route is for this host only.
    ///
    /// - Parameter gatewayOrigins: for a route without origins of its own.
    package func check(_ handshake: Handshake, gatewayOrigins: OriginCheck) throws(Refusal) {
        if self.isLoopbackOnly { try handshake.checkIsLocal() }
        try (self.origins ?? gatewayOrigins).check(handshake)
    }

    /// What an admitted connection does.
    package struct Plan: Sendable {
        /// The groups it follows, each once.
        package let groups: [GroupName]
        package let receiver: Receiver
    }

    /// Fills in the templates for one connection.
    ///
    /// - Throws: `invalidGroup`, for a template without a valid result and for more than 100 groups.
    package func plan(for handshake: Handshake, identity: Identity) throws(Refusal) -> Plan {
        let values = TemplateValues(handshake, identity: identity, anonymousUser: self.anonymousUser)
        var groups: [GroupName] = []
        for group in try self.groups.map({ template throws(Refusal) in try template.group(for: values) })
            + identity.groups
        where !groups.contains(group) { groups.append(group) }
        guard groups.count <= Self.groupLimit else {
            throw Refusal(.invalidGroup, "\(groups.count) groups, wanted at most \(Self.groupLimit)")
        }
        return Plan(groups: groups, receiver: try self.receive.receiver(for: values))
    }
}
