/// What is done in one step with those who are in a group. The layouts are in `RedisStoreKeys`.
///
/// The clock is the server's own, so that processes need not agree on the time. Every script first removes those whose time
/// is over, and so the numbers are right whenever somebody looks.
///
///     KEYS   present, renewed, users
enum RedisPresenceScripts {
    private static let begin = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local function remove(client)
            local value = redis.call('HGET', KEYS[1], client)
            if not value then return end
            local place = string.find(value, ':', 1, true)
            local user = string.sub(value, place + 1, place + tonumber(string.sub(value, 1, place - 1)))
            if redis.call('HINCRBY', KEYS[3], user, -1) <= 0 then redis.call('HDEL', KEYS[3], user) end
            redis.call('HDEL', KEYS[1], client)
            redis.call('ZREM', KEYS[2], client)
        end
        for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do remove(client) end

        """

    /// Says that clients are there.
    ///
    ///     ARGV   milliseconds they are believed, then for each client its name, its user, its information
    static let add = RedisScript(
        """
        \(Self.begin)
        for i = 2, #ARGV, 3 do
            remove(ARGV[i])
            redis.call('HSET', KEYS[1], ARGV[i], #ARGV[i + 1] .. ':' .. ARGV[i + 1] .. ARGV[i + 2])
            redis.call('ZADD', KEYS[2], now + tonumber(ARGV[1]), ARGV[i])
            redis.call('HINCRBY', KEYS[3], ARGV[i + 1], 1)
        end
        for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
        return 0
        """)

    /// Says that clients are still there.
    ///
    ///     ARGV   milliseconds they are believed, then the clients' names
    ///     ->     those that are not known, and must be added again
    static let renew = RedisScript(
        """
        \(Self.begin)
        local unknown = {}
        for i = 2, #ARGV do
            if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
                redis.call('ZADD', KEYS[2], now + tonumber(ARGV[1]), ARGV[i])
            else
                unknown[#unknown + 1] = ARGV[i]
            end
        end
        for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
        return unknown
        """)

    /// Says that clients are gone.
    static let remove = RedisScript(
        """
        \(Self.begin)
        for _, client in ipairs(ARGV) do remove(client) end
        return 0
        """)

    /// Clients and what is known of each, in turn.
    static let list = RedisScript("\(Self.begin)return redis.call('HGETALL', KEYS[1])")

    /// How many clients and users there are.
    static let stats = RedisScript("\(Self.begin)return {redis.call('HLEN', KEYS[1]), redis.call('HLEN', KEYS[3])}")
}
