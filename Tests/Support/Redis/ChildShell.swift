import Foundation

/// A child with a socket to its input and one from its output, which no other child inherits.
struct ChildShell {
    let process: pid_t
    let input: Int32
    let output: Int32

    init(_ arguments: [String]) throws {
        var (input, output): ([Int32], [Int32]) = ([0, 0], [0, 0])
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &input) == 0, socketpair(AF_UNIX, kind, 0, &output) == 0 else {
            throw RedisServerFailure("no sockets for a child")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        for (from, to) in [(input[1], Int32(0)), (output[1], 1), (output[1], 2)] {
            posix_spawn_file_actions_adddup2(&actions, from, to)
        }
        // Sockets of other tests too: a child that kept one open would hide that it was closed.
        for other: Int32 in 3..<1_024 { posix_spawn_file_actions_addclose(&actions, other) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
            close(input[1])
            close(output[1])
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        var words = arguments.map { strdup($0) } + [nil]
        var environment = [strdup("PATH=\(path)"), nil]
        defer { for word in words + environment { free(word) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, arguments[0], &actions, &attributes, &words, &environment)
        guard status == 0 else {
            close(input[0])
            close(output[0])
            throw RedisServerFailure("\(arguments[0]) does not run: \(status)")
        }
        (self.process, self.input, self.output) = (process, input[0], output[0])
    }
}

/// Lines of a stream, one after the other; blocks.
final class LineReader: @unchecked Sendable {
    // Used by one thread, and then handed to another.
    private let descriptor: Int32
    private var rest: [UInt8] = []

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func next() -> String? {
        while true {
            if let end = self.rest.firstIndex(of: 0x0A) {
                let line = String(decoding: self.rest[..<end], as: UTF8.self)
                self.rest.removeFirst(end + 1)
                return line
            }
            var chunk = [UInt8](repeating: 0, count: 4_096)
            let count = read(self.descriptor, &chunk, chunk.count)
            guard count > 0 else { return nil }
            self.rest += chunk[..<count]
        }
    }
}
