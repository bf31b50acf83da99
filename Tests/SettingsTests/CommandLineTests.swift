import ArgumentParser
import NIOCore
import Settings
import Testing

@testable import Carillon

@Suite struct CommandLineTests {
    @Test(arguments: [
        ("jobs", "http://127.0.0.1:8000", "127.0.0.1", 8_000, "/channels/groups/jobs"),
        ("jobs", "http://h:9/site/", "h", 9, "/site/channels/groups/jobs"),
        ("/channels/a?t=1", "http://h:9", "h", 9, "/channels/a?t=1"),
        ("ws://[::1]:9/channels/a", "", "::1", 9, "/channels/a"),
        ("http://h", "", "h", 80, "/"),
    ]) func placesToSubscribe(text: String, base: String, host: String, port: Int, target: String) throws {
        let place = try SubscribePlace(text, base: base)
        #expect(place.host == host)
        #expect(place.port == port)
        #expect(place.target == target)
    }

    @Test(arguments: ["wss://h/a", "ws://:1/a", "ws://u@h/a", "ws://h:99999/", "ws://h/ö"])
    func whatIsNoPlaceIsRefused(text: String) {
        #expect(throws: Failure.self) { try SubscribePlace(text, base: "http://127.0.0.1:8000") }
    }

    @Test(arguments: [
        ([], nil), (["-p", "9"], "http://127.0.0.1:9"), (["-b", "::"], "http://[::]:8001"),
        (["-b", "0.0.0.0", "-p", "9", "-u", "/run/a.sock"], "http://0.0.0.0:9,unix:///run/a.sock"),
        (["--fd", "0"], "fd://0"),
    ]) func daphnesFlagsBecomeAddresses(arguments: [String], text: String?) throws {
        let options = try ListenOptions.parse(arguments)
        #expect(options.flags(for: "gateway.listen", port: 8_001).first?.text == text)
    }

    @Test(arguments: [
        (#"{"a": 1}"#, #"{"a": 1}"#), ("{\"a\":\n1}", #"{"a":1}"#), ("a \"b\"\n", #""a \"b\"\n""#), ("5", "5"),
    ]) func textMessagesAreOneLineOfJSON(text: String, line: String) {
        #expect(WebSocketClient.Message.text(text).json == line)
    }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")])
    func binaryMessagesAreBase64(text: String, base64: String) {
        #expect(WebSocketClient.Message.binary(ByteBuffer(string: text)).json == "{\"base64\":\"\(base64)\"}")
    }
}
