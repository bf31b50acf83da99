import HTTP1
import NIOCore

/// Serves the files of a folder. What is asked for can only be a file below it: `..`, hidden names and symbolic links
/// are answered 404, and folders are never listed (`index.html` stands for them).
public struct StaticFiles: SynchronousApplication {
    private let folder: String
    private let prefix: String
    private let cacheControl: String?

    /// - Parameters:
    ///   - folder: where the files are; may itself be a symbolic link.
    ///   - prefix: the part of the path that stands for `folder`; begins and ends with `/`.
    ///   - cacheControl: for files whose name changes with their content, `public, max-age=31536000, immutable`.
    public init(folder: String, under prefix: String = "/", cacheControl: String? = nil) {
        self.folder = folder
        self.prefix = prefix
        self.cacheControl = cacheControl
    }

    public func respond(to request: WorkerRequest) throws -> WorkerResponse {
        guard request.method == "GET" || request.method == "HEAD" else {
            var response = ErrorPage.response(405, "Files can only be read.")
            response.fields.append("Allow", "GET, HEAD")
            return response
        }
        guard var names = self.names(request.path) else { return Self.missing }
        if names.last == "" {
            names[names.count - 1] = "index.html"
        } else if case .folder = OpenFile.open(names, in: self.folder) {
            return Self.moved(to: request.path + "/", query: request.query)
        }
        guard case .file(let file) = OpenFile.open(names, in: self.folder) else { return Self.missing }
        return try self.answer(file, named: names[names.count - 1], to: request)
    }

    /// The names from the folder to the file, the last one empty for a folder; `nil` when one of them may not be.
    private func names(_ path: String) -> [Substring]? {
        guard path.hasPrefix(self.prefix) else { return nil }
        let names = path.dropFirst(self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        let isAllowed = names.dropLast().allSatisfy { !$0.isEmpty && ($0.first != "." || $0 == ".well-known") }
        guard isAllowed, names.last?.first != "." else { return nil }
        return names
    }

    private func answer(_ file: OpenFile, named name: Substring, to request: WorkerRequest) throws -> WorkerResponse {
        let tag =
            "\"\(String(file.modified, radix: 36))-\(String(file.modifiedNanoseconds, radix: 36))-"
            + "\(String(file.size, radix: 36))\""
        let modified = HTTPDate.text(file.modified)
        var fields = HeaderFields([("ETag", tag), ("Last-Modified", modified), ("Accept-Ranges", "bytes")])
        if let cacheControl { fields.append("Cache-Control", cacheControl) }
        if Preconditions.isUnchanged(tag: tag, modified: file.modified, request.fields) {
            return WorkerResponse(status: 304, fields: fields)
        }
        fields.append("Content-Type", ContentType.of(name))
        fields.append("X-Content-Type-Options", "nosniff")

        var range = 0..<file.size
        var status = 200
        let condition = request.fields["If-Range"]
        if condition == nil || condition == tag || condition == modified {
            switch ByteRange(request.fields["Range"], size: file.size) {
            case .whole: break
            case .part(let part):
                range = part
                status = 206
                fields.append("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.size)")
            case .unsatisfiable:
                var response = ErrorPage.response(416, "The file has \(file.size) bytes.")
                response.fields.append("Content-Range", "bytes */\(file.size)")
                return response
            }
        }
        return WorkerResponse(status: status, fields: fields, body: try Self.body(file, range))
    }

    /// Bytes of a file that are held in memory at a time.
    private static let pieceBytes = 65_536

    private static func body(_ file: OpenFile, _ range: Range<Int>) throws -> WorkerResponse.Body {
        if range.count <= Self.pieceBytes {
            return .bytes(file.read(from: range.lowerBound, count: range.count))
        }
        return .stream(length: range.count) { body in
            var offset = range.lowerBound
            while offset < range.upperBound {
                let piece = file.read(from: offset, count: min(Self.pieceBytes, range.upperBound - offset))
                // Cut short meanwhile: fewer bytes than promised, which the server tells by cutting the connection.
                if piece.readableBytes == 0 { return }
                try body.write(piece)
                offset += piece.readableBytes
            }
        }
    }

    private static var missing: WorkerResponse { ErrorPage.response(404, "There is no such file here.") }

    private static func moved(to path: String, query: String) -> WorkerResponse {
        // The path only, so that it is right behind any proxy; "//host" would name another host.
        let path = "/" + path.drop { $0 == "/" }
        let location = Self.encoded(path) + (query.isEmpty ? "" : "?\(query)")
        return WorkerResponse(status: 301, fields: HeaderFields([("Location", location)]))
    }

    /// A path as it stands in a URL (RFC 3986 section 3.3).
    private static func encoded(_ path: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var result = ""
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where "/-._~!$&'()*+,;=:@".utf8.contains(byte):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return result
    }
}

/// `If-None-Match` and `If-Modified-Since` (RFC 9110 section 13).
enum Preconditions {
    /// Whether the client has this version already.
    static func isUnchanged(tag: String, modified: Int?, _ fields: HeaderFields) -> Bool {
        let tags = fields.values("If-None-Match")
        if !tags.isEmpty {
            return tags.flatMap { $0.split(separator: ",") }.contains { entry in
                var entry = entry.drop { $0 == " " || $0 == "\t" }
                while entry.last == " " || entry.last == "\t" { entry.removeLast() }
                if entry.hasPrefix("W/") { entry = entry.dropFirst(2) }
                return entry == "*" || entry == tag
            }
        }
        guard let modified, let text = fields["If-Modified-Since"], let since = HTTPDate.seconds(text) else {
            return false
        }
        return modified <= since
    }
}
