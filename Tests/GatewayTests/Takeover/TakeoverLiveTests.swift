import ChannelLayer
import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Gateway

/// A gateway that passes its browsers on to another one, over a layer that both hear.
@Suite(.timeLimit(.minutes(2))) struct TakeoverLiveTests {
    private static func quick(_ configuration: inout GatewayConfiguration) {
        configuration.takeoverSkew = .milliseconds(300)
    }

    private let folder: TestFolder
    private var path: String { self.folder.file("takeover.sock") }

    init() throws { self.folder = try TestFolder() }

    /// Publishes numbers from 0 on until it is stopped, and gives back how many.
    private static func numbers(_ gateway: LiveGateway, to group: String) -> Task<Int, any Error> {
        Task {
            var number = 0
            while !Task.isCancelled {
                try await gateway.publish("\(number)", to: group)
                number += 1
                try? await Task.sleep(for: .milliseconds(1))
            }
            return number
        }
    }

    @Test func browsersMoveWhileMessagesFlowAndMissNone() async throws {
        let layer = MemoryLayer()
        let path = self.path
        try await withGateway(Self.quick, layer: layer) { old in
            let browsers = try await old.open(30, "/channels/groups/news")
            let shared = try await old.open("/channels/pairs/news/other")
            let stream = try await old.stream("/channels/groups/news")
            let publisher = Self.numbers(old, to: "news")
            let (isDone, done) = AsyncStream.makeStream(of: Void.self)
            try old.server.offerTakeover(at: path) { done.finish() }
            try await withGateway(Self.quick, layer: layer, takingOver: path) { new in
                for await _ in isDone {}
                publisher.cancel()
                let count = try await publisher.value
                for browser in browsers + [shared] {
                    for number in 0..<count { #expect(try await browser.nextText() == "\(number)") }
                }
                for number in 0..<count {
                    #expect(try await stream.block()?.hasSuffix("data: \(number)") == true)
                }
                // And they hear what comes now, once.
                try await new.publish("\"last\"", to: "news")
                for browser in browsers + [shared] { #expect(try await browser.nextText() == "\"last\"") }
                #expect(new.metric("carillon_gateway_connections") == 32)
                #expect(old.metric("carillon_gateway_connections") == 0)
                #expect(new.metric("carillon_gateway_takeover_misses_total") == 0)
                #expect(new.server.context.census.connections == 32)
            }
        }
    }

    @Test func aFrameAndARequestThatHaveHalfComeGoOn() async throws {
        let layer = MemoryLayer()
        let path = self.path
        try await withGateway(Self.quick, layer: layer) { old in
            let browser = try await old.open()
            let zero: [UInt8] = [0, 0, 0, 0]
            try await browser.send([0x81, 0x85] + zero + Array("he".utf8))
            let newcomer = try await old.connect()
            let request = LiveBrowser.handshake("/channels/echo/")
            try await newcomer.send(String(request.prefix(40)))
            // It has both once it has answered what came later.
            let other = try await old.open()
            try await other.send([0x81, 0x81] + zero + Array("x".utf8))
            #expect(try await other.nextText() == "x")
            let (isDone, done) = AsyncStream.makeStream(of: Void.self)
            try old.server.offerTakeover(at: path) { done.finish() }
            try await withGateway(Self.quick, layer: layer, takingOver: path) { _ in
                for await _ in isDone {}
                try await browser.send(Array("llo".utf8))
                #expect(try await browser.nextText() == "hello")
                try await newcomer.send(String(request.dropFirst(40)))
                #expect(try await newcomer.head().hasPrefix("HTTP/1.1 101 "))
            }
        }
    }

    /// What a new gateway hears last before it is gone.
    enum LastWord: CaseIterable {
        case nothing, groups, cut, session, end

        func isMet(by message: TakeoverMessage) -> Bool {
            switch (self, message) {
            case (.groups, .groupsEnd), (.cut, .cut), (.session, .session), (.end, .end): true
            default: false
            }
        }
    }

    @Test(arguments: LastWord.allCases) func whenTheNewOneDiesTheOldOneGoesOn(after last: LastWord) async throws {
        let layer = MemoryLayer()
        let path = self.path
        try await withGateway(Self.quick, layer: layer) { old in
            let browsers = try await old.open(3, "/channels/groups/news")
            try old.server.offerTakeover(at: path) {}
            let publisher = Self.numbers(old, to: "news")
            try await NIOThreadPool.singleton.runIfActive {
                let link = try #require(try TakeoverLink.connect(to: path))
                try link.send(.hello(version: TakeoverMessage.version))
                while last != .nothing {
                    let (message, descriptor) = try link.receive()
                    if descriptor >= 0 { close(descriptor) }
                    if last.isMet(by: message) { break }
                    if message == .groupsEnd { try link.send(.following) }
                }
            }
            publisher.cancel()
            let count = try await publisher.value
            for browser in browsers {
                for number in 0..<count { #expect(try await browser.nextText() == "\(number)") }
            }
            let late = try await old.open("/channels/groups/news")
            try await old.publish("\"after\"", to: "news")
            for browser in browsers + [late] { #expect(try await browser.nextText() == "\"after\"") }
            let failures = "carillon_gateway_failed_takeovers_total"
            while old.metric(failures) == 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    @Test func aNewOneOfAnotherVersionIsRefusedBeforeAnythingStops() async throws {
        let path = self.path
        try await withGateway(Self.quick) { old in
            let browser = try await old.open("/channels/groups/news")
            let (strangers, stranger) = AsyncStream.makeStream(of: Void.self)
            try old.server.offerTakeover(at: path, strange: { stranger.finish() }, done: {})
            let answer = try await NIOThreadPool.singleton.runIfActive { () -> String in
                let link = try #require(try TakeoverLink.connect(to: path))
                try link.send(.hello(version: 999))
                do {
                    _ = try link.receive()
                    return ""
                } catch {
                    return "\(error)"
                }
            }
            #expect(answer.contains("version 999"))
            for await _ in strangers {}
            try await old.publish("\"after\"", to: "news")
            #expect(try await browser.nextText() == "\"after\"")
            #expect(old.metric("carillon_gateway_failed_takeovers_total") == 1)
        }
    }
}
