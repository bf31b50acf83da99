import Files
import HTTP1
import NIOCore

/// Serves the files of a folder. What is asked for can only be a file below it: `..`, hidden names and symbolic links
/// are answered 404, and folders are never listed (`index.html` stands for them).
public struct StaticFiles: SynchronousApplication {
    private let folder: FileFolder

    /// - Parameters:
    ///   - folder: where the files are; may itself be a symbolic link.
    ///   - prefix: the part of the path that stands for `folder`; begins and ends with `/`.
    ///   - cacheControl: for files whose name changes with their content, `public, max-age=31536000, immutable`.
    public init(folder: String, under prefix: String = "/", cacheControl: String? = nil) {
        self.folder = FileFolder(folder: folder, prefix: prefix, cacheControl: cacheControl)
    }

    public func respond(to request: WorkerRequest) throws -> WorkerResponse {
        let answer = self.folder.answer(
            method: request.method, path: request.path, query: request.query, fields: request.fields)
        switch answer.body {
        case .none: return WorkerResponse(status: answer.status, fields: answer.fields)
        case .file(let file, let range):
            return WorkerResponse(status: answer.status, fields: answer.fields, body: Self.body(file, range))
        case .reason(let reason):
            var response = ErrorPage.response(answer.status, reason)
            for (name, value) in answer.fields { response.fields.append(name, value) }
            return response
        }
    }

    /// Bytes of a file that are held in memory at a time.
    private static let pieceBytes = 65_536

    private static func body(_ file: OpenFile, _ range: Range<Int>) -> WorkerResponse.Body {
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
}
