import ChannelLayer
import NIOCore

extension RedisLayerCore {
    func commandConnection(of index: Int, _ event: RedisClientEvent) {
        let shard = self.shards[index]
        switch event {
        case .connected(let generation):
            shard.generation = generation
            self.restoreMemberships(on: shard, generation: generation)
        case .lost(let error):
            shard.isJoined = false
            self.interrupt(error.layerError)
        case .failed: break
        }
    }

    func mailConnection(of index: Int, _ event: RedisClientEvent) {
        let mail = self.shards[index].mail
        switch event {
        case .connected:
            mail.connected()
            self.endInterruption()
        case .lost(let error):
            mail.disconnected()
            self.interrupt(error.layerError)
        case .failed: break
        }
    }

    /// From now on messages may be missed.
    func interrupt(_ reason: LayerError) {
        guard !self.isClosed, self.interruption == nil else { return }
        self.interruption = reason
        for feed in self.feeds { feed.interrupt(reason) }
    }

    /// When every host is there again, and knows this process's memberships, nothing is missed any more.
    func endInterruption() {
        guard self.interruption != nil, self.shards.allSatisfy({ $0.isJoined && $0.mail.isReading }) else { return }
        self.interruption = nil
        for feed in self.feeds { feed.restore() }
    }
}
