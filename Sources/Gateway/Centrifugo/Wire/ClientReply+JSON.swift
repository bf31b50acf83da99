import ChannelLayer

extension ClientJSONWriter {
    mutating func write(_ reply: ClientReply) {
        self.number("id", reply.id)
        switch reply.result {
        case .error(let error):
            self.object("error") {
                $0.number("code", error.code)
                $0.text("message", error.message)
                $0.flag("temporary", error.isTemporary)
            }
        case .connect(let connected): self.object("connect") { $0.write(connected) }
        case .subscribe(let subscribed): self.object("subscribe") { $0.write(subscribed) }
        case .unsubscribe: self.object("unsubscribe") { _ in }
        case .publish: self.object("publish") { _ in }
        case .presence(let clients):
            self.object("presence") {
                $0.object("presence") { writer in
                    for (client, info) in clients { writer.object(client) { $0.write(info) } }
                }
            }
        case .presenceStats(let clients, let users):
            self.object("presence_stats") {
                $0.number("num_clients", clients, always: true)
                $0.number("num_users", users, always: true)
            }
        case .history(let publications, let top):
            self.object("history") {
                $0.array("publications", publications) { $0.write($1) }
                $0.text("epoch", top.epoch, always: true)
                $0.number("offset", top.offset, always: true)
            }
        case .rpc(let data): self.object("rpc") { $0.data("data", data) }
        case .refresh(let client, let ttl):
            self.object("refresh") {
                $0.text("client", client)
                $0.text("version", ClientConnected.version)
                $0.expiry(ttl)
            }
        case .refreshSubscription(let ttl): self.object("sub_refresh") { $0.expiry(ttl) }
        }
    }

    mutating func write(_ connected: ClientConnected) {
        self.text("client", connected.client)
        self.text("version", ClientConnected.version)
        self.expiry(connected.ttl)
        self.data("data", connected.data)
        if !connected.subscriptions.isEmpty {
            self.object("subs") { writer in
                for (channel, subscribed) in connected.subscriptions.sorted(by: { $0.key < $1.key }) {
                    writer.object(channel) { $0.write(subscribed) }
                }
            }
        }
        self.number("ping", connected.ping ?? 0)
        self.flag("pong", connected.wantsPong)
        self.text("session", connected.session)
        self.text("node", connected.node)
        self.number("time", connected.time ?? 0)
    }

    mutating func write(_ subscribed: ClientSubscribed) {
        self.expiry(subscribed.ttl)
        self.flag("recoverable", subscribed.isRecoverable)
        self.flag("positioned", subscribed.isPositioned)
        self.position(subscribed.position)
        if case .json(let array)? = subscribed.written {
            self.written("publications", array)
        } else if !subscribed.publications.isEmpty {
            self.array("publications", subscribed.publications) { $0.write($1) }
        }
        self.flag("recovered", subscribed.isRecovered)
        self.flag("was_recovering", subscribed.wasRecovering)
        self.data("data", subscribed.data)
        self.flag("delta", subscribed.isDelta)
        self.number("id", subscribed.number)
    }

    mutating func write(_ publication: ClientPublication) {
        self.data("data", publication.data)
        if let info = publication.info { self.object("info") { $0.write(info) } }
        self.number("offset", publication.offset)
        if !publication.tags.isEmpty {
            self.object("tags") { writer in
                for (key, value) in publication.tags.sorted(by: { $0.key < $1.key }) { writer.member(key, value) }
            }
        }
        self.flag("delta", publication.isDelta)
        self.number("time", publication.time)
    }

    mutating func write(_ info: ClientInfo) {
        self.text("user", info.user, always: true)
        self.text("client", info.client, always: true)
        self.data("conn_info", info.connection)
        self.data("chan_info", info.channel)
    }

    mutating func position(_ position: StreamPosition?) {
        self.text("epoch", position?.epoch ?? "")
        self.number("offset", position?.offset ?? 0)
    }

    mutating func expiry(_ ttl: UInt32?) {
        self.flag("expires", ttl != nil)
        self.number("ttl", ttl ?? 0)
    }
}
