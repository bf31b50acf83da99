import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

@Suite struct ChannelPushTests {
    private func push(
        _ message: LayerMessage, in channel: String = "news", dataKey: String? = nil
    ) throws -> RuleOutcome {
        var options = ChannelOptions()
        options.dataKey = dataKey
        return ChannelPush(options).outcome(for: message, in: try ClientChannel(channel).group)
    }

    private func json(_ text: String) -> LayerValue { .json(JSONText(unchecked: ByteBuffer(string: text))) }

    private func text(_ text: String) -> RuleOutcome { .text(ByteBuffer(string: text)) }

    @Test func aPublicationIsAPushOfItsChannel() throws {
        #expect(
            try self.push(.publication(self.json(#"{"a": "\u00e9"}"#)), in: "chat:7")
                == self.text(#"{"push":{"channel":"chat:7","pub":{"data":{"a": "\u00e9"}}}}"#))
    }

    @Test func aPublisherIsNamed() throws {
        var message = LayerMessage.publication(.int(1))
        message.entries.append(.init(key: .string("info"), value: self.json(#"{"user":"42","client":"c"}"#)))
        #expect(
            try self.push(message)
                == self.text(#"{"push":{"channel":"news","pub":{"data":1,"info":{"user":"42","client":"c"}}}}"#))
    }

    @Test func aPushIsOneLineWhateverTheDataLooksLike() throws {
        #expect(
            try self.push(.publication(self.json("{\n\"a\":\r\n\"\\n\"}")))
                == self.text("{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{ \"a\":\r \"\\n\"}}}}"))
    }

    @Test func aGroupMessageIsDataAsAWholeOrByItsKey() throws {
        let message: LayerMessage = ["type": "news.item", "id": 7, "title": "x"]
        #expect(
            try self.push(message)
                == self.text(#"{"push":{"channel":"news","pub":{"data":{"type":"news.item","id":7,"title":"x"}}}}"#))
        #expect(
            try self.push(message, dataKey: "title")
                == self.text(#"{"push":{"channel":"news","pub":{"data":"x"}}}"#))
        #expect(try self.push(message, dataKey: "body") == .drop(.missingKey))
    }

    @Test func bytesAreTheirJSONOrBase64() throws {
        #expect(
            try self.push(.publication(.bytes(ByteBuffer(string: "[1]"))))
                == self.text(#"{"push":{"channel":"news","pub":{"data":[1]}}}"#))
        #expect(
            try self.push(.publication(.bytes(ByteBuffer(bytes: [0xFF]))))
                == self.text(#"{"push":{"channel":"news","pub":{"data":"/w=="}}}"#))
    }

    @Test(arguments: ["websocket.send", "websocket.close", "websocket.receive"])
    func whatIsForOneConsumerIsForNoChannel(type: String) throws {
        #expect(try self.push(["type": .string(type), "text": "x"]) == .drop(.protocolEvent))
    }
}
