/// What is done in one step with a group's history. The layouts are in `RedisStoreKeys`.
///
/// Offsets are numbers of Lua, exact up to 2^53.
enum RedisHistoryScripts {
    /// Where all scripts that publish begin: is it new, which position has it, and it is kept.
    ///
    ///     KEYS   history, position, once (any key when there is no idempotency key)
    ///     ARGV   1 the message up to its offset (RedisMessageCodec.encodeHead), or the whole message when there is to be
    ///              no position in it
    ///            2 an epoch, for a stream that begins
    ///            3 size; 0 keeps nothing
    ///            4, 5, 6 milliseconds: time to live, of the position, of the idempotency key (0: there is none)
    ///            7, 8 version of 20 digits or nothing, and its epoch
    ///            9 "msgpack" or "json"; "whole" when the message has no position in it
    ///     ->     offset, epoch, and why it is not sent: "key", "version" or nothing
    ///
    /// Sets `message`, the bytes that are heard, and leaves with `return` when there is nothing to send. What is kept is
    /// `message .. ending`.
    private static func keep(ending: String, _ once: Once) -> String {
        """
        redis.call('SETRANGE', KEYS[1] .. '$memory', 0, '')
        \(once.question)
        local message, offset, epoch = ARGV[1], '0', ''
        if ARGV[3] ~= '0' then
            local meta = redis.call('HMGET', KEYS[2], 'e', 'v', 've', 'o')
            epoch = meta[1]
            if not epoch then
                epoch = ARGV[2]
                redis.call('HSET', KEYS[2], 'e', epoch)
                redis.call('DEL', KEYS[1])
            end
            if ARGV[7] ~= '' then
                if meta[2] and ARGV[7] <= meta[2] and (ARGV[8] == '' or ARGV[8] == meta[3]) then
                    return {meta[4], epoch, 'version'}
                end
                redis.call('HSET', KEYS[2], 'v', ARGV[7], 've', ARGV[8])
            end
            local number = redis.call('HINCRBY', KEYS[2], 'o', 1)
            offset = string.format('%.0f', number)
            if ARGV[9] == 'msgpack' then
                message = message .. struct.pack('>I8', number) .. '\\165epoch' .. string.char(160 + #epoch) .. epoch
            elseif ARGV[9] == 'json' then
                message = message .. offset .. ', "epoch": "' .. epoch .. '"'
            end
            redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[3], offset, 'm', message .. \(ending))
            redis.call('PEXPIRE', KEYS[1], ARGV[4])
            redis.call('PEXPIRE', KEYS[2], ARGV[5])
        end
        \(once.memory)

        """
    }

    /// How it is known whether something was published before: what asks, and what remembers.
    private struct Once {
        let question: String
        let memory: String

        /// By its key alone.
        static let key = Once(
            question: """
                if ARGV[6] ~= '0' then
                    local known = redis.call('GET', KEYS[3])
                    if known then
                        local place = string.find(known, ':', 1, true)
                        return {string.sub(known, 1, place - 1), string.sub(known, place + 1), 'key'}
                    end
                end
                """,
            memory: "if ARGV[6] ~= '0' then redis.call('SET', KEYS[3], offset .. ':' .. epoch, 'PX', ARGV[6]) end")

        /// By its key, and how often its witness and others have said it: `WitnessedPublications` as a hash. The last two
        /// arguments are the witness's name and number.
        ///
        ///     f, l     numbers of the first publication that is not forgotten, and of the last
        ///     1, 2 …   of each when it is forgotten, and its position
        ///     w<name>  how many that witness has said, and the number of its last
        static let witness = Once(
            question: """
                local name, said = 'w' .. ARGV[#ARGV - 1], tonumber(ARGV[#ARGV])
                local time = redis.call('TIME')
                local now = time[1] * 1000 + math.floor(time[2] / 1000)
                local facts = redis.call('HMGET', KEYS[3], 'f', 'l', name)
                local first, last = tonumber(facts[1] or '1'), tonumber(facts[2] or '0')
                while first <= last do
                    local ending = string.match(redis.call('HGET', KEYS[3], first) or '0', '^%d+')
                    if tonumber(ending) > now then break end
                    redis.call('HDEL', KEYS[3], first)
                    first = first + 1
                end
                local count, before = 0, 0
                if facts[3] then
                    local numbers = {string.match(facts[3], '^(%d+) (%d+)$')}
                    count, before = tonumber(numbers[1]), tonumber(numbers[2])
                end
                local isRepeated = count > 0 and said <= before
                local place = isRepeated and count or math.max(count + 1, first)
                if not isRepeated then
                    redis.call('HSET', KEYS[3], 'f', first, name, place .. ' ' .. said)
                    redis.call('PEXPIRE', KEYS[3], ARGV[6])
                end
                if isRepeated or place <= last then
                    local known = redis.call('HGET', KEYS[3], place) or '0 0:'
                    return {string.match(known, '^%d+ (%d+):'), string.match(known, ':(.*)$'), 'key'}
                end
                """,
            memory: """
                redis.call('HSET', KEYS[3], 'l', place, place, (now + ARGV[6]) .. ' ' .. offset .. ':' .. epoch)
                """)
    }

    /// Keeps a message, and leaves it to the caller to send it: for messages in which no script can write, because they
    /// are encrypted, and for receivers on several hosts.
    static let keep = Self.keep(.key)
    static let keepWitnessed = Self.keep(.witness)

    private static func keep(_ once: Once) -> RedisScript {
        RedisScript(Self.keep(ending: "''", once) + "return {offset, epoch, ''}")
    }

    /// Keeps a message and publishes it.
    ///
    ///     KEYS   4 the topic
    ///     ARGV   10 "PUBLISH" or "SPUBLISH"
    static let publish = Self.publish(.key)
    static let publishWitnessed = Self.publish(.witness)

    private static func publish(_ once: Once) -> RedisScript {
        RedisScript(
            """
            local ending = (ARGV[9] == 'json' and ARGV[3] ~= '0') and '}' or ''
            \(Self.keep(ending: "ending", once))
            redis.call(ARGV[10], KEYS[4], message .. ending)
            return {offset, epoch, ''}
            """)
    }

    /// Keeps a message and puts it into the mailboxes of the group's members. The message ends where the list of receivers
    /// begins, or where its position does.
    ///
    /// Mailboxes are read in the order of the messages' times, which are their senders': so that all publications of a group
    /// are heard in the order of their offsets, none has an earlier time than the one before it.
    ///
    ///     KEYS   4 the group
    ///     ARGV   10 prefix of all keys, 11 newest time of an expired membership, 12 the same of a message, 13 TTL,
    ///            14 capacity, 15 how mailboxes of gateways begin, 16 their capacity, 17 the message's time
    ///     ->     also: messages that found no room, expired messages that were removed, mailboxes that are none
    static let sendToGroup = Self.sendToGroup(.key)
    static let sendWitnessedToGroup = Self.sendToGroup(.witness)

    private static func sendToGroup(_ once: Once) -> RedisScript {
        RedisScript(
            """
            \(RedisLayerScripts.receivers)
            local mark = ARGV[3] == '0' and '' or (ARGV[9] == 'json' and ', "__asgi_channel__": ' or '\\176__asgi_channel__')
            local ending = mark .. written({}, ARGV[9])
            \(Self.keep(ending: "ending", once))
            redis.call('ZREMRANGEBYSCORE', KEYS[4], 0, ARGV[11])
            local mailboxes, names = receivers(KEYS[4])
            \(RedisLayerScripts.put)
            if offset ~= '0' then
                local last = redis.call('HGET', KEYS[2], 's')
                if last and tonumber(ARGV[17]) <= tonumber(last) then ARGV[17] = string.format('%.6f', last + 0.000001) end
                redis.call('HSET', KEYS[2], 's', ARGV[17])
            end
            for _, mailbox in ipairs(mailboxes) do
                local capacity = tonumber(string.sub(mailbox, 1, #ARGV[15]) == ARGV[15] and ARGV[16] or ARGV[14])
                ARGV[18] = message .. mark
                put(ARGV[10] .. mailbox, capacity, ARGV[12], ARGV[13], 17, 17, written(names[mailbox], ARGV[9]))
            end
            return {offset, epoch, '', full, old, foreign}
            """)
    }

    /// A part of a history, and the newest position.
    ///
    ///     KEYS   history, position
    ///     ARGV   1 an epoch, for a group that has none; 2, 3 milliseconds that a position lives, and one before any
    ///            publication; 4 the epoch that is asked for, or nothing; 5 "XRANGE" or "XREVRANGE", or nothing when only
    ///            the position is wanted; 6, 7 its bounds; 8 publications at most, or nothing
    ///     ->     offset, epoch, publications
    static let read = RedisScript(
        """
        local meta = redis.call('HMGET', KEYS[2], 'e', 'o')
        local epoch, offset = meta[1], meta[2] or '0'
        if not epoch then
            epoch = ARGV[1]
            redis.call('HSET', KEYS[2], 'e', epoch)
            redis.call('DEL', KEYS[1])
        end
        local life = tonumber(offset == '0' and ARGV[3] or ARGV[2])
        if redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life) end
        if ARGV[5] == '' or (ARGV[4] ~= '' and ARGV[4] ~= epoch) then return {offset, epoch, {}} end
        if ARGV[8] == '' then return {offset, epoch, redis.call(ARGV[5], KEYS[1], ARGV[6], ARGV[7])} end
        return {offset, epoch, redis.call(ARGV[5], KEYS[1], ARGV[6], ARGV[7], 'COUNT', ARGV[8])}
        """)
}
