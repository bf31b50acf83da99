import ChannelLayer
import NIOCore
import SwiftProtobuf

/// Publications as they stand in the answer to a subscription.
enum WrittenPublications: Equatable, Sendable {
    /// The whole array.
    case json(ByteBuffer)
    /// The fields of a `SubscribeResult` that they are.
    case protobuf(UnknownStorage)

    init(_ publications: [ClientPublication], _ codec: ClientCodec) {
        switch codec {
        case .json: self = .json(ClientJSONWriter.array(publications) { $0.write($1) })
        case .protobuf: self = .protobuf(publications.written)
        }
    }

    var count: Int {
        switch self {
        case .json(let array): array.readableBytes
        case .protobuf(let fields): fields.data.count
        }
    }
}

/// Runs of publications as they were written for who missed them. When many come back at once, after an outage, most have
/// missed the same: it is decoded and encoded once for each form, and not for each of them.
///
/// Lives on its shard's event loop. What nobody has asked for is forgotten after a second or two.
final class WrittenRuns {
    /// What decides the bytes: publications of a life of a stream never change.
    struct Run: Hashable {
        private let channel: ClientChannel
        private let epoch: String
        private let first: UInt64
        private let last: UInt64
        fileprivate let codec: ClientCodec
        private let isDelta: Bool

        /// `nil` for so few publications that writing them is as fast as looking for them.
        ///
        /// - Parameter publications: consecutive ones.
        init?(
            _ publications: [StoredPublication], of channel: ClientChannel, _ epoch: String, _ codec: ClientCodec,
            _ form: ClientForm
        ) {
            guard publications.count > 1, let first = publications.first, let last = publications.last else {
                return nil
            }
            self.channel = channel
            self.epoch = epoch
            self.first = first.offset
            self.last = last.offset
            self.codec = codec
            self.isDelta = form.contains(.delta)
        }
    }

    private var runs: [Run: WrittenPublications] = [:]
    private var bytes = 0
    private var wasAsked = false

    /// Bytes that are kept; then all is begun anew.
    private static let limit = 8_388_608

    /// - Parameter make: the run's publications, when they are not written yet.
    func written(_ run: Run, _ make: () -> [ClientPublication]) -> WrittenPublications {
        self.wasAsked = true
        if let known = self.runs[run] { return known }
        let written = WrittenPublications(make(), run.codec)
        guard written.count <= Self.limit else { return written }
        if self.bytes + written.count > Self.limit { self.forget() }
        self.bytes += written.count
        self.runs[run] = written
        return written
    }

    func secondPassed() {
        if !self.wasAsked { self.forget() }
        self.wasAsked = false
    }

    private func forget() {
        guard !self.runs.isEmpty else { return }
        self.runs = [:]
        self.bytes = 0
    }
}
