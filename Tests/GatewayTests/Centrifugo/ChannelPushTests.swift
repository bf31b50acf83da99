import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

@Suite struct ChannelPushTests {
    private func push(
        _ message: LayerMessage, in channel: String = "news", dataKey: String? = nil, as form: ClientForm = []
    ) throws -> RuleOutcome {
        var options = ChannelOptions()
        options.dataKey = dataKey
        return ChannelPush(options).outcome(for: message, in: try ClientChannel(channel).group, as: form)
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

    @Test func aPublicationHasItsPlaceTagsAndTime() throws {
        var message = LayerMessage.publication(.int(1))
        message.entries += [
            .init(key: .string("offset"), value: .uint(7)), .init(key: .string("epoch"), value: .string("xyz")),
            .init(
                key: .string("tags"),
                value: .map([
                    .init(key: .string("b"), value: .string("2")), .init(key: .string("a"), value: .string("1")),
                    .init(key: .string("c"), value: .int(3)),
                ])), .init(key: .string("time"), value: .int(1_700_000_000_000)),
        ]
        #expect(
            try self.push(message)
                == self.text(
                    #"{"push":{"channel":"news","pub":{"data":1,"offset":7,"tags":{"a":"1","b":"2"},"time":1700000000000}}}"#
                ))
    }

    @Test func aUnidirectionalPushStandsByItself() throws {
        #expect(try self.push(.publication(.int(1)), as: .bare) == self.text(#"{"channel":"news","pub":{"data":1}}"#))
    }

    @Test func whoJoinsIsToldToThoseWhoAsked() throws {
        let info = ClientInfo(user: "42", client: "c", channel: .json(JSONText(unchecked: ByteBuffer(string: "[1]"))))
        for event in ["join", "leave"] {
            let message: LayerMessage = ["type": .string("carillon.\(event)"), "info": info.layerValue]
            #expect(try self.push(message) == .nothing)
            #expect(
                try self.push(message, as: .joinLeave)
                    == self.text(
                        #"{"push":{"channel":"news","\#(event)":{"info":{"user":"42","client":"c","chan_info":[1]}}}}"#)
            )
        }
    }

    @Test(arguments: ["websocket.send", "websocket.close", "websocket.receive"])
    func whatIsForOneConsumerIsForNoChannel(type: String) throws {
        #expect(try self.push(["type": .string(type), "text": "x"]) == .drop(.protocolEvent))
    }
}
