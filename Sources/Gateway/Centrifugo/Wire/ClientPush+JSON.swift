extension ClientJSONWriter {
    /// - Parameter isBare: by itself, and not in a reply.
    mutating func write(_ push: ClientPush, isBare: Bool) {
        if isBare { self.write(push) } else { self.object("push") { $0.write(push) } }
    }

    private mutating func write(_ push: ClientPush) {
        if push.number == 0 { self.text("channel", push.channel) } else { self.number("id", push.number) }
        switch push.event {
        case .publication(let publication): self.object("pub") { $0.write(publication) }
        case .join(let info): self.object("join") { $0.object("info") { $0.write(info) } }
        case .leave(let info): self.object("leave") { $0.object("info") { $0.write(info) } }
        case .unsubscribe(let code, let reason):
            self.object("unsubscribe") {
                $0.number("code", code)
                $0.text("reason", reason)
            }
        case .subscribe(let subscribed):
            self.object("subscribe") {
                $0.flag("recoverable", subscribed.isRecoverable)
                $0.flag("positioned", subscribed.isPositioned)
                $0.position(subscribed.position)
                $0.data("data", subscribed.data)
            }
        case .message(let data): self.object("message") { $0.data("data", data) }
        case .connect(let connected): self.object("connect") { $0.write(connected) }
        case .disconnect(let reason):
            self.object("disconnect") {
                $0.number("code", reason.rawValue)
                $0.text("reason", reason.reason)
            }
        case .refresh(let ttl): self.object("refresh") { $0.expiry(ttl) }
        }
    }
}
