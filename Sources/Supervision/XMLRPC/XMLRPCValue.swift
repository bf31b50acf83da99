package import NIOCore

/// A value of XML-RPC, as supervisord writes them.
package enum XMLRPCValue: Equatable, Sendable {
    case int(Int)
    case bool(Bool)
    case double(Double)
    /// Also times and base64, which stay as they are written.
    case string(String)
    case array([XMLRPCValue])
    case object([String: XMLRPCValue])

    package subscript(key: String) -> XMLRPCValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    package var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    package var integer: Int? {
        guard case .int(let number) = self else { return nil }
        return number
    }

    package var elements: [XMLRPCValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
}

/// What the other side answers when a call went wrong there.
package struct XMLRPCFault: Error, Equatable, CustomStringConvertible {
    package let code: Int
    /// `NAME: detail`.
    package let text: String

    package var description: String { "\(self.text) (fault \(self.code))" }
}

extension ByteBuffer {
    /// Writes the body of a call.
    ///
    /// - Parameter arguments: texts, numbers and truth values; control characters in texts, which XML has no way to write, are
    ///   left out.
    package mutating func writeXMLRPCCall(_ method: String, _ arguments: [XMLRPCValue] = []) {
        self.writeStaticString("<?xml version=\"1.0\"?><methodCall><methodName>")
        self.writeXMLText(method)
        self.writeStaticString("</methodName><params>")
        for argument in arguments {
            self.writeStaticString("<param>")
            self.writeXMLRPCValue(argument)
            self.writeStaticString("</param>")
        }
        self.writeStaticString("</params></methodCall>")
    }

    private mutating func writeXMLRPCValue(_ value: XMLRPCValue) {
        self.writeStaticString("<value>")
        switch value {
        case .int(let number): self.writeString("<int>\(number)</int>")
        case .bool(let flag): self.writeString("<boolean>\(flag ? 1 : 0)</boolean>")
        case .double(let number): self.writeString("<double>\(number)</double>")
        case .string(let text):
            self.writeStaticString("<string>")
            self.writeXMLText(text)
            self.writeStaticString("</string>")
        case .array(let elements):
            self.writeStaticString("<array><data>")
            for element in elements { self.writeXMLRPCValue(element) }
            self.writeStaticString("</data></array>")
        case .object(let members):
            self.writeStaticString("<struct>")
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                self.writeStaticString("<member><name>")
                self.writeXMLText(name)
                self.writeStaticString("</name>")
                self.writeXMLRPCValue(member)
                self.writeStaticString("</member>")
            }
            self.writeStaticString("</struct>")
        }
        self.writeStaticString("</value>")
    }

    private mutating func writeXMLText(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): self.writeStaticString("&amp;")
            case UInt8(ascii: "<"): self.writeStaticString("&lt;")
            case UInt8(ascii: ">"): self.writeStaticString("&gt;")
            case 0x09, 0x0A, 0x0D, 0x20...: self.writeInteger(byte)
            default: break
            }
        }
    }
}
