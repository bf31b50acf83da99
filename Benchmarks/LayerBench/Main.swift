import ChannelLayer
import Glibc
import Logging

/// One end of a layer for the benchmark of brokers (`layers.py`): sends to a group as fast as it can, or counts what
/// arrives there. Both ends say when, on the machine's monotonic clock, so that two processes can be put together.
///
///     LayerBench receive BACKEND URL GROUP MESSAGES          says "ready", then one line of JSON
///     LayerBench send    BACKEND URL GROUP MESSAGES WINDOW   one line of JSON
///     LayerBench publish BACKEND URL GROUP MESSAGES WINDOW   the same, with a history
@main
enum Main {
    static func main() async {
        var arguments = CommandLine.arguments.dropFirst()
        guard let role = arguments.popFirst(), let backend = arguments.popFirst(), let url = arguments.popFirst(),
            let group = arguments.popFirst().flatMap({ try? GroupName($0) }),
            let messages = arguments.popFirst().flatMap({ Int($0) })
        else { fail("usage: LayerBench send|publish|receive redis|redis_pubsub|rabbitmq URL GROUP MESSAGES [WINDOW]") }
        do {
            let layer = try makeLayer(backend, url: url)
            switch role {
            case "receive": await receive(messages, from: group, over: layer)
            case "publish":
                let window = arguments.popFirst().flatMap { Int($0) } ?? 1_000
                await publish(messages, to: group, over: layer, window: window)
            default:
                let window = arguments.popFirst().flatMap { Int($0) } ?? 1_000
                await send(messages, to: group, over: layer, window: window)
            }
            await layer.close()
        } catch {
            fail("\(error)")
        }
    }
}

/// 100 bytes of text, as an application's notification.
let sample: LayerMessage = [
    "type": .string("bench.message"), "text": .string(String(repeating: "x", count: 100)),
]

/// Nanoseconds of the machine's monotonic clock, which all processes share.
func monotonic() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

/// Nanoseconds of processor time that this process has used.
func processTime() -> UInt64 { nanoseconds(CLOCK_PROCESS_CPUTIME_ID) }

private func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func report(_ line: String) {
    print(line)
    // Line by line, whatever is at the other end: `fflush(stdout)` is not for Swift 6.
    fflush(nil)
}

func fail(_ what: String) -> Never {
    let line = "LayerBench: \(what)\n"
    _ = write(STDERR_FILENO, line, line.utf8.count)
    exit(1)
}
