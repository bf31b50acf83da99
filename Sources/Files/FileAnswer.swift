package import HTTP1

/// A folder whose files are served. What is asked for can only be a file below it: `..`, hidden names and symbolic links
/// are not found, and folders are never listed (`index.html` stands for them).
package struct FileFolder: Sendable, Equatable {
    /// Where the files are; may itself be a symbolic link.
    package var folder: String
    /// The part of the path that stands for `folder`; begins and ends with `/`.
    package var prefix: String
    /// For files whose name changes with their content: `public, max-age=31536000, immutable`.
    package var cacheControl: String?

    package init(folder: String, prefix: String, cacheControl: String? = nil) {
        self.folder = folder
        self.prefix = prefix
        self.cacheControl = cacheControl
    }

    /// What is answered. Opens the file, and so may wait for the disk.
    ///
    /// - Parameters:
    ///   - path: with its percent-encoding undone.
    ///   - query: as it came; for a folder's new place.
    package func answer(method: String, path: String, query: String, fields: HeaderFields) -> FileAnswer {
        guard method == "GET" || method == "HEAD" else {
            return FileAnswer(405, [("Allow", "GET, HEAD")], reason: "Files can only be read.")
        }
        guard var names = self.names(path), !names.isEmpty else { return .missing }
        if names.last == "" {
            names[names.count - 1] = "index.html"
        } else if case .folder = OpenFile.open(names, in: self.folder) {
            return .moved(to: path + "/", query: query)
        }
        guard case .file(let file) = OpenFile.open(names, in: self.folder) else { return .missing }
        return FileAnswer(file, named: names[names.count - 1], cacheControl: self.cacheControl, to: fields)
    }

    /// The names from the folder to the file, the last one empty for a folder; `nil` when one of them may not be.
    private func names(_ path: String) -> [Substring]? {
        guard path.hasPrefix(self.prefix) else { return nil }
        let names = path.dropFirst(self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        let isAllowed = names.dropLast().allSatisfy { !$0.isEmpty && ($0.first != "." || $0 == ".well-known") }
        guard isAllowed, names.last?.first != "." else { return nil }
        return names
    }
}

/// What is answered for a file, apart from the server's own fields.
package struct FileAnswer: Sendable {
    package enum Body: Sendable {
        /// One sentence for the reader, to be made a page of.
        case reason(String)
        /// Bytes of the file, from the first to the one after the last.
        case file(OpenFile, Range<Int>)
        /// 304 and redirects.
        case none
    }

    package var status: Int
    package var fields: HeaderFields
    package var body: Body

    init(_ status: Int, _ fields: [(String, String)] = [], reason: String? = nil) {
        self.status = status
        self.fields = HeaderFields(fields)
        self.body = reason.map(Body.reason) ?? .none
    }

    /// An open file, or the part of it that is asked for (RFC 9110 sections 13 and 14).
    init(_ file: OpenFile, named name: Substring, cacheControl: String?, to request: HeaderFields) {
        let tag =
            "\"\(String(file.modified, radix: 36))-\(String(file.modifiedNanoseconds, radix: 36))-"
            + "\(String(file.size, radix: 36))\""
        let modified = HTTPDate.text(file.modified)
        self.init(200, [("ETag", tag), ("Last-Modified", modified), ("Accept-Ranges", "bytes")])
        if let cacheControl { self.fields.append("Cache-Control", cacheControl) }
        guard !Preconditions.isUnchanged(tag: tag, modified: file.modified, request) else {
            self.status = 304
            return
        }
        self.fields.append("Content-Type", ContentType.of(name))
        self.fields.append("X-Content-Type-Options", "nosniff")
        self.body = .file(file, 0..<file.size)
        let condition = request["If-Range"]
        guard condition == nil || condition == tag || condition == modified else { return }
        switch ByteRange(request["Range"], size: file.size) {
        case .whole: break
        case .part(let part):
            self.status = 206
            self.fields.append("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.size)")
            self.body = .file(file, part)
        case .unsatisfiable:
            self = FileAnswer(
                416, [("Content-Range", "bytes */\(file.size)")], reason: "The file has \(file.size) bytes.")
        }
    }

    static var missing: FileAnswer { FileAnswer(404, reason: "There is no such file here.") }

    static func moved(to path: String, query: String) -> FileAnswer {
        // The path only, so that it is right behind any proxy; "//host" would name another host.
        let path = "/" + path.drop { $0 == "/" }
        return FileAnswer(301, [("Location", Self.encoded(path) + (query.isEmpty ? "" : "?\(query)"))])
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
