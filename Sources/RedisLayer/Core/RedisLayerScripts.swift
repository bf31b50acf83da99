/// What the core layer lets Redis do in one step. Each is sent by its digest.
///
/// No script touches what is not a sorted set: who writes something else under one of the layer's names loses it there
/// or is passed over, and nobody else is harmed.
///
/// A script that has written once may go on when memory is full, and removing what is expired is a write. So those that store
/// messages begin with a command that changes nothing, but is refused then (`SETRANGE` of nothing at a key nobody has).
enum RedisLayerScripts {
    /// Puts messages into mailboxes, each under its capacity.
    ///
    ///     KEYS   mailboxes
    ///     ARGV   newest time of an expired message, TTL, messages for each mailbox,
    ///            then for each mailbox its capacity, and for each message its time and its bytes
    ///     ->     messages that found no room, expired messages that were removed, mailboxes that are none
    static let deposit = RedisScript(
        """
        redis.call('SETRANGE', KEYS[1] .. '$memory', 0, '')
        local count = tonumber(ARGV[3])
        local full, old, foreign = 0, 0, 0
        local place = 4
        for _, key in ipairs(KEYS) do
            local capacity = tonumber(ARGV[place])
            local removed = redis.pcall('ZREMRANGEBYSCORE', key, 0, ARGV[1])
            if type(removed) == 'table' then
                if not string.find(removed.err, 'WRONGTYPE', 1, true) then return removed end
                foreign = foreign + 1
            else
                old = old + removed
                local size = redis.call('ZCARD', key)
                local isChanged = false
                for i = place + 1, place + 2 * count, 2 do
                    if size < capacity then
                        size = size + redis.call('ZADD', key, ARGV[i], ARGV[i + 1])
                        isChanged = true
                    else
                        full = full + 1
                    end
                end
                if isChanged then redis.call('EXPIRE', key, ARGV[2]) end
            end
            place = place + 1 + 2 * count
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
        redis.call('SETRANGE', KEYS[1] .. '$memory', 0, '')
        redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[2])
        local mailboxes, names = {}, {}
        for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
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

        local function written(list)
            if ARGV[6] == 'json' then return '["' .. table.concat(list, '", "') .. '"]}' end
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

        local full, old, foreign = 0, 0, 0
        for _, mailbox in ipairs(mailboxes) do
            local key = ARGV[1] .. mailbox
            local capacity = tonumber(string.sub(mailbox, 1, #ARGV[7]) == ARGV[7] and ARGV[8] or ARGV[5])
            local removed = redis.pcall('ZREMRANGEBYSCORE', key, 0, ARGV[3])
            if type(removed) == 'table' then
                if not string.find(removed.err, 'WRONGTYPE', 1, true) then return removed end
                foreign = foreign + 1
            else
                old = old + removed
                local size = redis.call('ZCARD', key)
                local list = written(names[mailbox])
                local isChanged = false
                for i = 9, #ARGV, 2 do
                    if size < capacity then
                        size = size + redis.call('ZADD', key, ARGV[i], ARGV[i + 1] .. list)
                        isChanged = true
                    else
                        full = full + 1
                    end
                end
                if isChanged then redis.call('EXPIRE', key, ARGV[4]) end
            end
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
