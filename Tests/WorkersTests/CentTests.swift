import ChannelLayer
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Workers

/// The publish API against the real client library, `cent` 5.2.0.
@Suite(.timeLimit(.minutes(5)))
struct CentTests {
    /// Python with `cent` in it, made once and kept beside the build.
    private static func python() async throws -> String {
        let folder = packageRoot.appending(path: ".venv-cent").path
        let python = folder + "/bin/python"
        if FileManager.default.fileExists(atPath: python), try await run(python, ["-c", "import cent"]).0 == 0 {
            return python
        }
        let (made, said) = try await run("python3", ["-m", "venv", folder])
        try #require(made == 0, "Debian package python3-venv is needed; it said:\n\(said)")
        let (installed, pip) = try await run(python, ["-m", "pip", "install", "--quiet", "cent==5.2.0"])
        try #require(installed == 0, "cent 5.2.0 from PyPI is needed; pip said:\n\(pip)")
        return python
    }

    private static let script = """
        import asyncio, sys
        from cent import *

        url, key = sys.argv[1:]
        client = Client(url, key)

        result = client.publish(PublishRequest(channel="news", data={"t": "é"}, tags={"a": "1"}, idempotency_key="k"))
        assert not result.offset and not result.epoch, result
        client.publish(PublishRequest(channel="news", data=None, b64data="AAH/"))

        responses = client.broadcast(BroadcastRequest(channels=["news", "not a name"], data=[1, 2])).responses
        assert responses[0].error is None and responses[1].error.code == 107, responses

        node = client.info(InfoRequest()).nodes[0]
        assert (node.name, node.num_clients, node.uptime) == ("host", 2, 60), node

        def fails(error, action):
            try:
                action()
            except error as caught:
                return caught
            raise AssertionError("nothing was raised")

        refused = fails(CentApiResponseError, lambda: client.publish(PublishRequest(channel="", data={})))
        assert refused.code == 107 and refused.message == "bad request", refused
        unknown = fails(CentApiResponseError, lambda: client.presence(PresenceRequest(channel="news")))
        assert unknown.code == 104, unknown
        fails(CentUnauthorizedError, lambda: Client(url, "wrong").publish(PublishRequest(channel="news", data={})))

        async def main():
            other = AsyncClient(url, key)
            await other.publish(PublishRequest(channel="news", data="from aiohttp"))

        asyncio.run(main())
        print("all is well")
        """

    @Test func theRealClientLibraryIsServed() async throws {
        let python = try await Self.python()
        let layer = MemoryLayer()
        let arrivals = Arrivals()
        let feed = layer.openFeed(arrivals)
        feed.follow(try GroupName("news")) { _ in }
        var configuration = PublishAPI.Configuration()
        configuration.keys = ["key"]
        let api = PublishAPI(layer: layer, configuration: configuration) {
            [
                NodeInfo(
                    uid: "u", name: "host", version: "1", clients: 2, users: 1, channels: 1, subscriptions: 2,
                    uptime: 60)
            ]
        }
        try await withServer(api) { server in
            let port = try #require(server.server.boundAddress?.port)
            let (status, text) = try await run(python, ["-c", Self.script, "http://127.0.0.1:\(port)/api", "key"])
            #expect(status == 0 && text.contains("all is well"), "\(text)")
            let published = arrivals.all.map { arrival -> String in
                switch arrival.message["data"] {
                case .json(let text): String(buffer: text.bytes)
                case .bytes(let bytes): "\(Array(bytes.readableBytesView))"
                default: "neither"
                }
            }
            #expect(published == [#"{"t": "\u00e9"}"#, "[0, 1, 255]", "[1, 2]", #""from aiohttp""#])
        }
        feed.close()
    }
}
