import CRabbitMQ
import Glibc

/// A value in a table of arguments.
enum FieldValue {
    case text(String)
    case integer(Int64)
    case bool(Bool)
    case table([(String, FieldValue)])
}

/// A table of arguments in the library's form. It owns the memory.
struct FieldTable: ~Copyable {
    private let raw: amqp_table_t
    private let inner: [Memory]

    /// What must be given back.
    private enum Memory {
        case text(UnsafeMutablePointer<CChar>)
        case entries(UnsafeMutablePointer<amqp_table_entry_t>)
    }

    init(_ fields: [(String, FieldValue)]) {
        var memory: [Memory] = []
        self.raw = Self.table(fields, &memory)
        self.inner = memory
    }

    /// The table, for the time of `body`.
    borrowing func withTable<Result>(_ body: (amqp_table_t) -> Result) -> Result { body(self.raw) }

    deinit {
        for piece in self.inner {
            switch piece {
            case .text(let text): free(text)
            case .entries(let entries): entries.deallocate()
            }
        }
    }

    private static func table(_ fields: [(String, FieldValue)], _ memory: inout [Memory]) -> amqp_table_t {
        guard !fields.isEmpty else { return amqp_empty_table }
        let entries = UnsafeMutablePointer<amqp_table_entry_t>.allocate(capacity: fields.count)
        memory.append(.entries(entries))
        for (place, (name, value)) in fields.enumerated() {
            var field = amqp_field_value_t()
            switch value {
            case .text(let text):
                field.kind = UInt8(AMQP_FIELD_KIND_UTF8.rawValue)
                field.value.bytes = Self.bytes(text, &memory)
            case .integer(let number):
                field.kind = UInt8(AMQP_FIELD_KIND_I64.rawValue)
                field.value.i64 = number
            case .bool(let bool):
                field.kind = UInt8(AMQP_FIELD_KIND_BOOLEAN.rawValue)
                field.value.boolean = bool ? 1 : 0
            case .table(let inner):
                field.kind = UInt8(AMQP_FIELD_KIND_TABLE.rawValue)
                // One level deep by the callers' own words, never by a peer's.
                field.value.table = Self.table(inner, &memory)
            }
            (entries + place).initialize(to: amqp_table_entry_t(key: Self.bytes(name, &memory), value: field))
        }
        return amqp_table_t(num_entries: Int32(fields.count), entries: entries)
    }

    private static func bytes(_ text: String, _ memory: inout [Memory]) -> amqp_bytes_t {
        guard let copy = strdup(text) else { return amqp_empty_bytes }
        memory.append(.text(copy))
        return amqp_cstring_bytes(copy)
    }
}

extension String {
    /// The text as the library's bytes, for the time of `body`.
    func withAMQPBytes<Result>(_ body: (amqp_bytes_t) -> Result) -> Result {
        var text = self
        return text.withUTF8 { body(amqp_bytes_t(UnsafeRawBufferPointer($0))) }
    }

    /// A copy of the library's bytes; what is no UTF-8 is repaired.
    init(_ bytes: amqp_bytes_t) { self.init(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self) }
}

extension amqp_bytes_t {
    /// The same memory; the library does not write to what it sends.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(len: bytes.count, bytes: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: amqp_bytes_t) { self.init(start: bytes.bytes, count: bytes.bytes == nil ? 0 : bytes.len) }
}
