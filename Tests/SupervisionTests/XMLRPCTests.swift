import NIOCore
import Supervision
import TestSupport
import Testing

@Suite struct XMLRPCTests {
    private static let state = """
        <?xml version='1.0'?>
        <methodResponse>
        <params>
        <param>
        <value><struct>
        <member><name>statecode</name><value><int>1</int></value></member>
        <member><name>statename</name><value><string>RUNNING</string></value></member>
        </struct></value>
        </param>
        </params>
        </methodResponse>
        """

    private static func parse(_ text: String) throws -> XMLRPCValue { try XMLRPCAnswer.parse(ByteBuffer(string: text)) }

    private static func answer(_ value: String) -> String {
        "<methodResponse><params><param>\(value)</param></params></methodResponse>"
    }

    @Test func anAnswerIsReadAsSupervisordWritesIt() throws {
        #expect(try Self.parse(Self.state) == .object(["statecode": .int(1), "statename": .string("RUNNING")]))
    }

    @Test(arguments: [
        ("<value><i4>-7</i4></value>", XMLRPCValue.int(-7)),
        ("<value><boolean>1</boolean></value>", .bool(true)),
        ("<value><double>1.5</double></value>", .double(1.5)),
        ("<value>bare &amp; plain</value>", .string("bare & plain")),
        ("<value><string>a &lt;b&gt; &#8364; &#x41; &unknown; &</string></value>", .string("a <b> € A &unknown; &")),
        ("<value><string/></value>", .string("")),
        ("<value/>", .string("")),
        ("<value><array><data/></array></value>", .array([])),
        (
            "<value><array><data><value><int>1</int></value> <value>x</value></data></array></value>",
            .array([.int(1), .string("x")])
        ),
    ]) func everyTypeIsRead(text: String, value: XMLRPCValue) throws {
        #expect(try Self.parse(Self.answer(text)) == value)
    }

    @Test func controlCharactersInTextsAreTaken() throws {
        #expect(
            try Self.parse(Self.answer("<value><string>\u{1B}[1m\u{0}\u{7}</string></value>"))
                == .string("\u{1B}[1m\u{0}\u{7}"))
    }

    @Test func aFaultIsAnError() {
        let fault = """
            <methodResponse><fault><value><struct><member><name>faultCode</name><value><int>10</int></value></member>\
            <member><name>faultString</name><value><string>BAD_NAME: x</string></value></member></struct></value></fault>\
            </methodResponse>
            """
        #expect { try Self.parse(fault) } throws: { ($0 as? XMLRPCFault)?.description == "BAD_NAME: x (fault 10)" }
    }

    @Test func depthIsBounded() {
        let text = String(repeating: "<value><array><data>", count: 5_000)
        #expect(throws: XMLRPCError.self) { try Self.parse(Self.answer(text)) }
    }

    @Test func aCallEscapesItsTexts() {
        var body = ByteBuffer()
        body.writeXMLRPCCall("supervisor.startProcess", [.string("a<b&c\u{1B}"), .bool(false)])
        #expect(
            String(buffer: body) == """
                <?xml version="1.0"?><methodCall><methodName>supervisor.startProcess</methodName><params><param><value>\
                <string>a&lt;b&amp;c</string></value></param><param><value><boolean>0</boolean></value></param></params>\
                </methodCall>
                """)
    }

    @Test func noBytesHarmTheReader() {
        var mutator = Mutator(
            corpus: [
                Array(Self.state.utf8), Array(Self.answer("<value><array><data><value/></data></array></value>").utf8),
            ],
            interesting: Array("<>/&;#x".utf8), seed: 12)
        for _ in 0..<2_000 { _ = try? XMLRPCAnswer.parse(ByteBuffer(bytes: mutator.next())) }
    }
}
