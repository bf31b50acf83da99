import Foundation
import NIOCore
import TestSupport

/// A file of `Tests/Vectors` as a value.
func vectors<File: Decodable>(_ type: File.Type, _ name: String) throws -> File {
    try JSONDecoder().decode(type, from: Data(Vectors.bytes(name).readableBytesView))
}

/// What channels_redis sends and leaves behind, call by call (`redis-core.json`).
struct CoreVectors: Decodable {
    struct Text: Decodable, Hashable {
        let hex: String?
        let text: String?
        var bytes: ByteBuffer { TestSupport.bytes(hex: self.hex ?? "") }
    }
    struct Command: Decodable {
        let args: [Text]
    }
    struct Key: Decodable {
        struct Member: Decodable {
            let score: String
            let member: Text
        }
        let key: Text
        let type: String
        let ttl_seconds: Int
        let members: [Member]?
    }
    struct Case: Decodable {
        let name: String
        let commands: [Command]
        let keys_after: [Key]
    }
    let cases: [Case]

    static func read() throws -> CoreVectors { try vectors(CoreVectors.self, "redis-core.json") }

    func named(_ name: String) throws -> Case {
        guard let found = self.cases.first(where: { $0.name == name }) else { throw NoSuchCase(name: name) }
        return found
    }

    struct NoSuchCase: Error { let name: String }
}
