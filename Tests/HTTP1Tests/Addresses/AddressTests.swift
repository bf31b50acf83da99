import NIOCore
import Testing

@testable import HTTP1

@Suite struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::1", "::1"), ("::", "::"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:201", "192.0.2.1"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8::", "2001:db8::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ("1::8", "1::8"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("fe80:0:0:1::", "fe80:0:0:1::"),
    ])
    func anAddressIsReadAndWrittenCanonically(_ text: String, _ canonical: String) throws {
        #expect(try #require(IPAddress(text)).description == canonical)
        #expect(IPAddress(canonical) == IPAddress(text))
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", "1..2.3", ":", ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1::2::3", "::1:", ":1::", "12345::", "g::", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4",
        "::1%eth0", "[::1]",
        "::ffff:1.2.3.4:5", "1:2:3:4:5:6:7:8::", "１.2.3.4",
    ])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func addressesOfSocketsAreTheSameValues() throws {
        #expect(IPAddress(try SocketAddress(ipAddress: "192.0.2.7", port: 1)) == IPAddress("192.0.2.7"))
        #expect(IPAddress(try SocketAddress(ipAddress: "2001:db8::7", port: 1)) == IPAddress("2001:db8::7"))
        #expect(IPAddress(try SocketAddress(ipAddress: "::ffff:192.0.2.7", port: 1)) == IPAddress("192.0.2.7"))
        #expect(Peer(try SocketAddress(unixDomainSocketPath: "/run/x")) == .unix)
        #expect(Peer(nil) != .unix)
    }

    @Test func loopbackIsKnown() {
        #expect(IPAddress("127.9.9.9")?.isLoopback == true)
        #expect(IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("::ffff:127.0.0.1")?.isLoopback == true)
        #expect(IPAddress("128.0.0.1")?.isLoopback == false)
        #expect(IPAddress("::2")?.isLoopback == false)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "8.8.8.8", true),
        ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "8.8.8.8", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false), ("2001:db8::/96", "2001:db8::ffff:ffff", true),
        ("::1", "::1", true),
        ("192.0.2.1", "192.0.2.2", false), ("::ffff:10.0.0.0/104", "10.1.2.3", true),
    ])
    func aRangeHoldsItsAddresses(_ range: String, _ address: String, _ held: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(try #require(IPAddress(address))) == held)
    }

    @Test(arguments: [
        "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "localhost", "/8", "10.0.0.0/8/8",
    ])
    func whatIsNoRangeIsRefused(_ text: String) {
        #expect(AddressRange(text) == nil)
        #expect(throws: AddressError.self) { try TrustedProxies([text]) }
    }
}

@Suite struct ClientAddressTests {
    let trusted: TrustedProxies
    let loopback = Peer.ip(IPAddress(v4: 0x7f00_0001))

    init() throws {
        self.trusted = try TrustedProxies(["127.0.0.1", "10.0.0.0/8", "::1", "unix:"])
    }

    func client(_ peer: Peer, _ forwardedFor: String..., realIP: String? = nil) -> String {
        ClientAddress(peer: peer, forwardedFor: forwardedFor, realIP: realIP, trusted: self.trusted).description
    }

    @Test func aStrangersHeadersAreNotBelieved() throws {
        let stranger = Peer.ip(try #require(IPAddress("198.51.100.1")))
        #expect(self.client(stranger, "192.0.2.1", realIP: "192.0.2.2") == "198.51.100.1")
        let address = ClientAddress(peer: stranger, forwardedFor: ["127.0.0.1"], realIP: nil, trusted: self.trusted)
        #expect(!address.isFromTrustedProxy && !address.isLoopback)
    }

    @Test func theNearestAddressThatIsNoProxyIsTheClient() {
        #expect(self.client(self.loopback, "192.0.2.1") == "192.0.2.1")
        #expect(self.client(self.loopback, "6.6.6.6, 192.0.2.1, 10.1.1.1") == "192.0.2.1")
        #expect(self.client(self.loopback, "6.6.6.6", "192.0.2.1 ,10.1.1.1") == "192.0.2.1")
        #expect(self.client(.unix, "[2001:db8::1]:443") == "2001:db8::1")
        #expect(self.client(.unix, "192.0.2.1:4711") == "192.0.2.1")
        #expect(self.client(.unix, "2001:db8::1") == "2001:db8::1")
    }

    @Test func aChainOfProxiesOnlyEndsAtItsBeginning() {
        #expect(self.client(self.loopback, "10.2.2.2, 10.1.1.1") == "10.2.2.2")
    }

    @Test func anEntryThatIsNoAddressEndsTheWalk() {
        #expect(self.client(self.loopback, "192.0.2.1, unknown, 10.1.1.1") == "10.1.1.1")
        #expect(self.client(self.loopback, "garbage") == "127.0.0.1")
        #expect(self.client(.unix, "[::1") == "unix:")
    }

    @Test func theRealIPCountsWithoutForwardedFor() {
        #expect(self.client(self.loopback, realIP: " 192.0.2.9 ") == "192.0.2.9")
        #expect(self.client(self.loopback, "192.0.2.1", realIP: "192.0.2.9") == "192.0.2.1")
        #expect(self.client(.unix) == "unix:")
    }
}
