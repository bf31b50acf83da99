import RabbitMQLayer
import TestSupport
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        ("amqp://", RabbitMQAddress()),
        ("amqp://broker", RabbitMQAddress(host: "broker")),
        ("amqp://broker/", RabbitMQAddress(host: "broker")),
        ("amqp://broker//", RabbitMQAddress(host: "broker")),
        ("amqp://broker/%2f", RabbitMQAddress(host: "broker")),
        ("amqp://broker/%2Fa%2fb", RabbitMQAddress(host: "broker", virtualHost: "/a/b")),
        ("amqp://broker/a/b", RabbitMQAddress(host: "broker", virtualHost: "a/b")),
        ("amqp://guest:guest@localhost:5672//", RabbitMQAddress(host: "localhost")),
        ("amqp://guest:guest@127.0.0.1/asgi", RabbitMQAddress(virtualHost: "asgi")),
        (
            "pyamqp://celery:secret@broker:5673/jobs",
            RabbitMQAddress(host: "broker", port: 5_673, user: "celery", password: "secret", virtualHost: "jobs")
        ),
        ("amqps://u:p@broker", RabbitMQAddress(host: "broker", port: 5_671, user: "u", password: "p", isSecure: true)),
        ("AMQP://u:@broker", RabbitMQAddress(host: "broker", user: "u", password: "")),
        ("amqp://u%40x:p%3a%2F@broker", RabbitMQAddress(host: "broker", user: "u@x", password: "p:/")),
        ("amqp://u:50%off@broker", RabbitMQAddress(host: "broker", user: "u", password: "50%off")),
        ("amqp://u:p@ss:word@broker", RabbitMQAddress(host: "broker", user: "u", password: "p@ss:word")),
        ("amqp://[::1]:5673/x", RabbitMQAddress(host: "::1", port: 5_673, virtualHost: "x")),
        ("amqp://[::1]", RabbitMQAddress(host: "::1")),
        ("amqp://@broker", RabbitMQAddress(host: "broker")),
    ])
    func urlsAreTakenAsTheyAreMeant(_ url: String, _ address: RabbitMQAddress) throws {
        #expect(try RabbitMQAddress(url) == address)
    }

    @Test(arguments: [
        "", "broker", "http://broker", "amqp:broker", "amqp://broker:0", "amqp://broker:65536", "amqp://broker:x",
        "amqp://bro ker", "amqp://broker/\u{0}", "amqp://broker?heartbeat=5", "amqp://broker/%00x?",
        "amqp://broker/" + String(repeating: "v", count: 256),
    ])
    func otherTextsAreRefusedWithoutRepeatingThem(_ url: String) {
        let error = #expect(throws: RabbitMQAddressError.self) { try RabbitMQAddress(url) }
        #expect(error?.description.contains("wanted amqp://") == true)
    }

    @Test func severalNodesAreSeparatedBySemicolons() throws {
        let nodes = try RabbitMQAddress.list("amqp://one/x;amqp://two:5673/x")
        #expect(nodes.map(\.host) == ["one", "two"])
        #expect(throws: RabbitMQAddressError.self) { try RabbitMQAddress.list(";") }
    }

    @Test func anAddressIsShownWithoutItsPassword() throws {
        let address = try RabbitMQAddress("amqp://user:secret@broker/x")
        #expect("\(address)" == "amqp://broker:5672 (virtual host \"x\")")
    }

    @Test func noTextTrapsTheReader() {
        let corpus = ["amqp://u:p@[::1]:5672/%2f", "amqps://host//", "pyamqp://a%41:b@c:1/d%"].map { Array($0.utf8) }
        var mutator = Mutator(corpus: corpus, interesting: Array(":/@[]%;?".utf8), seed: 7)
        for _ in 0..<5_000 { _ = try? RabbitMQAddress(String(decoding: mutator.next(), as: UTF8.self)) }
    }
}
