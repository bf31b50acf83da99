import NIOCore
import Testing

@testable import Gateway

/// A gateway on a free port over a memory layer, and what browsers on real sockets see of it.
@Suite(.timeLimit(.minutes(1))) struct GatewayLiveTests {
    @Test func everyFollowerHearsEveryMessageOnceAndInOrder() async throws {
        try await withGateway { gateway in
            let browsers = try await gateway.open(20, "/channels/groups/news")
            for number in 0..<200 { try await gateway.publish("\(number)", to: "news") }
            for browser in browsers {
                for number in 0..<200 {
                    #expect(try await browser.next() == .text(ByteBuffer(string: "\(number)")))
                }
            }
        }
    }

    @Test func whoFollowsSeveralGroupsHearsThemInTheOrderTheyWereSent() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open(1, "/channels/pairs/left/right")[0]
            for number in 0..<100 {
                try await gateway.publish("\(number)", to: number % 3 == 0 ? "left" : "right")
            }
            for number in 0..<100 {
                #expect(try await browser.next() == .text(ByteBuffer(string: "\(number)")))
            }
        }
    }

    @Test func aPublicationIsHeardByItsGroupOnly() async throws {
        try await withGateway { gateway in
            let news = try await gateway.open(1, "/channels/groups/news")[0]
            let other = try await gateway.open(1, "/channels/groups/other")[0]
            try await gateway.publish("1", to: "news")
            try await gateway.publish("2", to: "other")
            #expect(try await news.next() == .text(ByteBuffer(string: "1")))
            #expect(try await other.next() == .text(ByteBuffer(string: "2")))
        }
    }

    @Test func aPingIsAnsweredAndACloseIsReturned() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open(1, "/channels/groups/news")[0]
            try await browser.send(clientFrame(9, [1, 2, 3]))
            #expect(try await browser.next() == .pong(ByteBuffer(bytes: [1, 2, 3])))
            try await browser.send(clientFrame(8, [0x03, 0xE8]))
            #expect(try await browser.next() == .close(.normal, reason: ""))
            #expect(try await browser.next() == nil)
        }
    }

    @Test func whoBreaksTheProtocolIsToldAndTheOthersStay() async throws {
        try await withGateway { gateway in
            let bad = try await gateway.open(1, "/channels/groups/news")[0]
            let good = try await gateway.open(1, "/channels/groups/news")[0]
            try await bad.send(clientFrame(1, [0xFF]))
            #expect(try await bad.next() == .close(.invalidPayload, reason: "text is not UTF-8"))
            try await gateway.publish("1", to: "news")
            #expect(try await good.next() == .text(ByteBuffer(string: "1")))
        }
    }

    @Test func aStoppingGatewaySendsEverybodyAwayWith1012() async throws {
        try await withGateway { gateway in
            let browsers = try await gateway.open(10, "/channels/groups/news")
            await gateway.server.drain(within: .milliseconds(100))
            for browser in browsers {
                #expect(try await browser.next() == .close(.serviceRestart, reason: "restart"))
            }
        }
    }

    @Test(arguments: [
        ("GET /channels/nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /channels/groups/news HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("GET /channels/groups/news HTTP/1.1\r\n\r\n", 400),
        ("GET  /channels/groups/news HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /channels/carillon.js HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ])
    func answersWhatIsNoHandshake(_ request: String, _ status: Int) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.connect()
            try await browser.send(Array(request.utf8))
            #expect(try await browser.head().hasPrefix("HTTP/1.1 \(status) "))
        }
    }
}
