import ChannelLayer
import HTTP1
import JSON
import NIOCore

/// The fields of a request to the publish API. What a method does not use, and what a later version may add, is passed
/// over; `null` is the same as not being there.
struct APIBody {
    /// Empty when there was none.
    private(set) var channel = ""
    private(set) var channels: [String] = []
    /// The JSON text under `data`, cut out of the body as it stood there.
    private var data: JSONText?
    private var base64: String?

    /// - Throws: `JSONError` when the body is no JSON object, nested too deeply, or a field has the wrong type.
    init(_ body: ByteBuffer) throws(JSONError) {
        self = try JSONReader.read(body) { reader throws(JSONError) in try APIBody(&reader, body) }
    }

    private init(_ reader: inout JSONReader, _ body: ByteBuffer) throws(JSONError) {
        guard try reader.next() == .beginObject else {
            throw JSONError("expected an object", at: reader.tokenOffset)
        }
        while case .key(let name)? = try reader.next() {
            switch name {
            case "channel": self.channel = try APIBody.string(&reader) ?? ""
            case "channels": self.channels = try APIBody.strings(&reader)
            case "b64data": self.base64 = try APIBody.string(&reader)
            case "data":
                let range = try reader.skipValue()
                let text = body.getSlice(at: body.readerIndex + range.lowerBound, length: range.count)
                self.data = text.flatMap {
                    $0.readableBytesView.elementsEqual("null".utf8) ? nil : JSONText(unchecked: $0)
                }
            default: try reader.skipValue()
            }
        }
        while try reader.next() != nil {}
    }

    /// What is to be published: the JSON text as it came, or the bytes that `b64data` stands for.
    ///
    /// - Throws: `badRequest` when there is nothing, or what is there is not base64.
    func publicationData() throws(APIError) -> LayerValue {
        if let base64, !base64.isEmpty {
            guard let bytes = Base64.decode(base64.utf8), !bytes.isEmpty else { throw .badRequest }
            return .bytes(ByteBuffer(bytes: bytes))
        }
        guard let data else { throw .badRequest }
        return .json(data)
    }

    private static func string(_ reader: inout JSONReader) throws(JSONError) -> String? {
        switch try reader.next() {
        case .string(let text): return text
        case .null: return nil
        default: throw JSONError("expected a string", at: reader.tokenOffset)
        }
    }

    private static func strings(_ reader: inout JSONReader) throws(JSONError) -> [String] {
        switch try reader.next() {
        case .null: return []
        case .beginArray: break
        default: throw JSONError("expected a list of strings", at: reader.tokenOffset)
        }
        var strings: [String] = []
        while true {
            switch try reader.next() {
            case .string(let text): strings.append(text)
            case .endArray: return strings
            default: throw JSONError("expected a string", at: reader.tokenOffset)
            }
        }
    }
}
