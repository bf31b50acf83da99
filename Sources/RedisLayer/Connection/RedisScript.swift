import Crypto

/// A Lua script that the server runs as one step.
///
/// It is sent by its digest (`EVALSHA`). A client tells each new connection's server the script before its first use, in
/// the same pipeline (`SCRIPT LOAD`), and tells it again when the server has forgotten it (`NOSCRIPT`).
///
/// A class, so that a command that runs one is not larger than others: they are copied often.
final class RedisScript: Sendable {
    /// The Lua text.
    let source: String
    /// SHA-1 of the source in lower-case hexadecimal, by which Redis knows the script.
    let digest: String

    init(_ source: String) {
        self.source = source
        let digits = Array("0123456789abcdef".utf8)
        let digest = Insecure.SHA1.hash(data: Array(source.utf8))
        self.digest = String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// What tells the server.
    var load: RedisCommand {
        var command = RedisCommand("SCRIPT", reserving: self.source.utf8.count + 16)
        command.append("LOAD" as StaticString)
        command.append(self.source)
        return command
    }
}
