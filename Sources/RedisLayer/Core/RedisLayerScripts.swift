/// What the core layer lets Redis do in one step. Each is sent by its digest.
///
/// No script touches what is not a sorted set: who writes something else under one of the layer's names loses it there
/// or is passed over, and nobody else is harmed.
///
/// A script that has written once may go on when memory is full, and removing what is expired is a write. So those that store
/// messages begin with a command that changes nothing, but is refused then (`SETRANGE` of nothing at a key nobody has).
enum RedisLayerScripts {
    /// What the scripts that store messages have in common: what they answer, and the way into one mailbox. The function
    /// gives an error only when nothing can be stored anywhere.
    ///
    /// Its arguments: the mailbox, its capacity, the newest time of an expired message, TTL, the places in ARGV of the first
    /// and the last message's time, after which its bytes stand, and the end that all messages get.
    static let put = """
        redis.call('SETRANGE', KEYS[1] .. '$memory', 0, '')
        local full, old, foreign = 0, 0, 0
        local function put(key, capacity, expired, ttl, first, last, list)
            local removed = redis.pcall('ZREMRANGEBYSCORE', key, 0, expired)
            if type(removed) == 'table' then
                if not string.find(removed.err, 'WRONGTYPE', 1, true) then return removed end
                foreign = foreign + 1
                return nil
            end
            old = old + removed
            local size = redis.call('ZCARD', key)
            local isChanged = false
            for i = first, last, 2 do
                if size < capacity then
                    size = size + redis.call('ZADD', key, ARGV[i], ARGV[i + 1] .. list)
                    isChanged = true
                else
                    full = full + 1
                end
            end
            if isChanged then redis.call('EXPIRE', key, ttl) end
        end

        """

    /// Who gets a group's messages: its mailboxes, and for each the names of the members behind it; and how those names are
    /// written at the end of a message.
    static let receivers = """
        local function receivers(group)
            local mailboxes, names = {}, {}
            for _, member in ipairs(redis.call('ZRANGE', group, 0, -1)) do
                local mailbox = string.match(member, '^[%w_.-]+!?')
                if mailbox and #member < 100 and not string.find(member, '[^%w_.-]', #mailbox + 1) then
                    local list = names[mailbox]
                    if list then
                        list[#list + 1] = member
                    else
                        names[mailbox] = {member}
                        mailboxes[#mailboxes + 1] = mailbox
                    end
                end
            end
            return mailboxes, names
        end

        local function written(list, form)
            if form == 'json' then return '["' .. table.concat(list, '", "') .. '"]}' end
            local parts = {}
            if #list < 16 then
                parts[1] = string.char(144 + #list)
            elseif #list < 65536 then
                parts[1] = '\\220' .. struct.pack('>I2', #list)
            else
                parts[1] = '\\221' .. struct.pack('>I4', #list)
            end
            for i, name in ipairs(list) do
                parts[i + 1] = (#name < 32 and string.char(160 + #name) or '\\217' .. string.char(#name)) .. name
            end
            return table.concat(parts)
        end

        """

    /// Puts messages into mailboxes, each under its capacity.
    ///
    ///     KEYS   mailboxes
    ///     ARGV   newest time of an expired message, TTL, messages for each mailbox,
    ///            then for each mailbox its capacity, and for each message its time and its bytes
    ///     ->     messages that found no room, expired messages that were removed, mailboxes that are none
    static let deposit = RedisScript(
        """
        \(Self.put)
        local count = tonumber(ARGV[3])
        local place = 4
        for _, key in ipairs(KEYS) do
            local last = place + 2 * count
            local failure = put(key, tonumber(ARGV[place]), ARGV[1], ARGV[2], place + 1, last, '')
            if failure then return failure end
            place = last + 1
        end
        return {full, old, foreign}
        """)

    /// Puts messages into the mailboxes of a group's members: one copy for each mailbox, which lists the members behind
    /// it. For one host, one capacity and no encryption: everything happens in one step.
    ///
    ///     KEYS   the group
    ///     ARGV   prefix of all keys, newest time of an expired membership, the same of a message, TTL, capacity,
    ///            "msgpack" or "json", how mailboxes of gateways begin, their capacity,
    ///            then for each message its time and its bytes without the list
    ///     ->     as `deposit`
    static let sendToGroup = RedisScript(
        """
        \(Self.put)
        \(Self.receivers)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[2])
        local mailboxes, names = receivers(KEYS[1])
        for _, mailbox in ipairs(mailboxes) do
            local capacity = tonumber(string.sub(mailbox, 1, #ARGV[7]) == ARGV[7] and ARGV[8] or ARGV[5])
            local list = written(names[mailbox], ARGV[6])
            local failure = put(ARGV[1] .. mailbox, capacity, ARGV[3], ARGV[4], 9, #ARGV, list)
            if failure then return failure end
        end
        return {full, old, foreign}
        """)

    /// Makes channels members of groups, or renews their membership.
    ///
    ///     KEYS   groups
    ///     ARGV   time, TTL, then for each group its new member
    static let join = RedisScript(
        """
        for i, key in ipairs(KEYS) do
            local kind = redis.call('TYPE', key).ok
            if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', key) end
            redis.call('ZADD', key, ARGV[1], ARGV[i + 2])
            redis.call('EXPIRE', key, ARGV[2])
        end
        return #KEYS
        """)

    /// Deletes those keys that are no sorted sets. For mailboxes of this process only.
    static let clear = RedisScript(
        """
        local count = 0
        for _, key in ipairs(KEYS) do
            local kind = redis.call('TYPE', key).ok
            if kind ~= 'zset' and kind ~= 'none' then count = count + redis.call('DEL', key) end
        end
        return count
        """)
}
