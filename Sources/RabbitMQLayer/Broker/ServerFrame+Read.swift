import CRabbitMQ
import Glibc

extension ServerFrame {
    /// Takes apart what the library read.
    ///
    /// - Parameter plainExchange: deliveries from here keep their routing key.
    init(_ frame: amqp_frame_t, plainExchange: [UInt8]) {
        switch Int32(frame.frame_type) {
        case AMQP_FRAME_METHOD:
            self = Self.method(frame.payload.method, on: frame.channel, plainExchange)
        case AMQP_FRAME_HEADER:
            let header = frame.payload.properties
            var reason: String?
            var place: UInt64?
            Self.readHeaders(header.decoded, &reason, &place)
            self = .content(bytes: header.body_size, deathReason: reason, place: place)
        case AMQP_FRAME_BODY: self = .body(UnsafeRawBufferPointer(frame.payload.body_fragment))
        default: self = .other
        }
    }

    private static func method(
        _ method: amqp_method_t, on channel: AMQPChannelID, _ plainExchange: [UInt8]
    ) -> ServerFrame {
        func decoded<Method>(_ type: Method.Type) -> Method? {
            method.decoded?.assumingMemoryBound(to: type).pointee
        }
        switch method.id {
        case AMQP_BASIC_DELIVER_METHOD:
            return decoded(amqp_basic_deliver_t.self).flatMap { Self.delivery($0, channel, plainExchange) } ?? .other
        case AMQP_BASIC_ACK_METHOD:
            return decoded(amqp_basic_ack_t.self).map { .acknowledged($0.delivery_tag, multiple: $0.multiple != 0) }
                ?? .other
        case AMQP_BASIC_NACK_METHOD:
            return decoded(amqp_basic_nack_t.self).map { .refused($0.delivery_tag, multiple: $0.multiple != 0) }
                ?? .other
        case AMQP_BASIC_RETURN_METHOD:
            return decoded(amqp_basic_return_t.self).map { .returned(channel, key: String($0.routing_key)) } ?? .other
        case AMQP_BASIC_CANCEL_METHOD:
            return decoded(amqp_basic_cancel_t.self).map { .consumerCancelled(tag: String($0.consumer_tag)) } ?? .other
        case AMQP_CHANNEL_CLOSE_METHOD:
            let close = decoded(amqp_channel_close_t.self)
            return .channelClosed(
                channel,
                BrokerRefusal(code: Int(close?.reply_code ?? 0), text: close.map { String($0.reply_text) } ?? ""))
        case AMQP_CONNECTION_CLOSE_METHOD:
            return .connectionClosed(
                BrokerRefusal(connectionClose: method.decoded) ?? BrokerRefusal(code: 0, text: "without a reason"))
        case AMQP_CONNECTION_BLOCKED_METHOD:
            return .blocked(reason: decoded(amqp_connection_blocked_t.self).map { String($0.reason) } ?? "")
        case AMQP_CONNECTION_UNBLOCKED_METHOD: return .unblocked
        case AMQP_CHANNEL_OPEN_OK_METHOD, AMQP_CONFIRM_SELECT_OK_METHOD, AMQP_EXCHANGE_DECLARE_OK_METHOD,
            AMQP_QUEUE_DECLARE_OK_METHOD, AMQP_QUEUE_BIND_OK_METHOD, AMQP_QUEUE_UNBIND_OK_METHOD,
            AMQP_BASIC_QOS_OK_METHOD, AMQP_BASIC_CONSUME_OK_METHOD, AMQP_BASIC_CANCEL_OK_METHOD:
            return .reply(channel)
        default: return .other
        }
    }

    private static func delivery(
        _ method: amqp_basic_deliver_t, _ channel: AMQPChannelID, _ plainExchange: [UInt8]
    ) -> ServerFrame? {
        guard let consumer = ConsumerTag(String(method.consumer_tag)) else { return nil }
        let exchange = UnsafeRawBufferPointer(method.exchange)
        let isPlain =
            !plainExchange.isEmpty && exchange.count == plainExchange.count && exchange.elementsEqual(plainExchange)
        return .deliver(
            channel,
            DeliveryHead(
                tag: method.delivery_tag, consumer: consumer, isRedelivered: method.redelivered != 0,
                plainKey: isPlain ? String(method.routing_key) : nil))
    }

    /// `x-first-death-reason` and `x-stream-offset` of the message's headers.
    private static func readHeaders(
        _ decoded: UnsafeMutableRawPointer?, _ reason: inout String?, _ place: inout UInt64?
    ) {
        guard let properties = decoded?.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee,
            properties._flags & amqp_flags_t(AMQP_BASIC_HEADERS_FLAG) != 0
        else { return }
        for entry in UnsafeBufferPointer(
            start: properties.headers.entries, count: Int(max(properties.headers.num_entries, 0)))
        {
            switch Int(entry.value.kind) {
            case Int(AMQP_FIELD_KIND_UTF8.rawValue) where String(entry.key) == "x-first-death-reason":
                reason = String(entry.value.value.bytes)
            case Int(AMQP_FIELD_KIND_I64.rawValue) where String(entry.key) == "x-stream-offset":
                place = UInt64(exactly: entry.value.value.i64)
            default: break
            }
        }
    }
}

extension BrokerRefusal {
    init?(connectionClose decoded: UnsafeMutableRawPointer?) {
        guard let close = decoded?.assumingMemoryBound(to: amqp_connection_close_t.self).pointee else { return nil }
        self.init(code: Int(close.reply_code), text: String(close.reply_text))
    }
}
