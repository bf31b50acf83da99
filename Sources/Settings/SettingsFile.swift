import JSON
import NIOCore

/// A settings file: JSON text with an object at the top.
struct SettingsFile: Sendable {
    /// As the person named it, for messages.
    let name: String
    let tree: JSONValue
    /// Where each line but the first begins.
    private let lineStarts: [Int]

    /// Nothing a person writes by hand is larger.
    static let sizeLimit = 4 * 1_024 * 1_024

    /// - Throws: the first byte that is no JSON, or that the top is no object.
    init(name: String, text: ByteBuffer) throws(SettingsFaults) {
        self.name = name
        var text = text
        // Some editors begin a file with a byte order mark.
        if text.readableBytesView.starts(with: [0xEF, 0xBB, 0xBF]) { text.moveReaderIndex(forwardBy: 3) }
        self.lineStarts = text.readableBytesView.enumerated().filter { $0.element == UInt8(ascii: "\n") }.map {
            $0.offset + 1
        }
        do {
            self.tree = try JSONValue(parsing: text, options: .init(depth: 32))
        } catch {
            let line = JSONValue.line(of: error.offset, in: text)
            throw SettingsFaults([
                SettingsFault(place: "\(name):\(line)", finding: "is not JSON", note: error.message, line: line)
            ])
        }
        guard self.tree.object != nil else {
            throw SettingsFaults([
                SettingsFault(
                    place: "\(name):1", finding: "is no object", note: "wanted { \"gateway\": { … }, … }", line: 1)
            ])
        }
    }

    /// The line of a byte, counted from 1.
    func line(of offset: Int) -> Int {
        var low = 0
        var high = self.lineStarts.count
        while low < high {
            let middle = (low + high) / 2
            if self.lineStarts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return low + 1
    }

    /// The value under `name`, key by key.
    func value(of name: String) -> JSONValue? {
        var value = self.tree
        for key in name.split(separator: ".") {
            guard let next = value[String(key)] else { return nil }
            value = next
        }
        return value
    }
}
