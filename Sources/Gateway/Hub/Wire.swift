package import NIOCore

/// How a browser is spoken to. A message becomes bytes once per wire, whatever number of browsers gets them.
package enum Wire: Hashable, Sendable {
    case webSocket
    /// permessage-deflate, with the window that the browser agreed to.
    case webSocketDeflate(windowBits: Int)
    /// `text/event-stream`.
    case eventStream
    /// A stream of the Centrifugo client protocol as it is: lines of JSON, or Protobuf.
    case clientStream
    /// The same as `text/event-stream`, without ids.
    case clientEvents

    package var isWebSocket: Bool {
        switch self {
        case .webSocket, .webSocketDeflate: true
        case .eventStream, .clientStream, .clientEvents: false
        }
    }
}

/// What one message is for the browsers of one route and wire.
package enum Frame: Sendable, Equatable {
    case bytes(ByteBuffer)
    /// The browser is sent away.
    case close(CloseCode, reason: String)
    /// For the protocol of browsers that choose their channels.
    case notice(ChannelNotice)
}

/// What followers of a channel have to know that is no message.
package enum ChannelNotice: Sendable, Equatable {
    /// Publications were missed for good.
    case lost
    /// This connection is to be the only one of its user.
    case replaced(by: String)
}
