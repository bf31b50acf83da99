import CRabbitMQ

extension ClientMethod {
    /// Writes the method to the connection.
    ///
    /// - Returns: the library's status.
    func send(_ state: amqp_connection_state_t, _ channel: AMQPChannelID) -> Int32 {
        switch self {
        case .openChannel:
            var method = amqp_channel_open_t(out_of_band: amqp_empty_bytes)
            return amqp_send_method(state, channel, AMQP_CHANNEL_OPEN_METHOD, &method)
        case .channelClosed:
            var method = amqp_channel_close_ok_t()
            return amqp_send_method(state, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &method)
        case .selectConfirms:
            var method = amqp_confirm_select_t(nowait: 0)
            return amqp_send_method(state, channel, AMQP_CONFIRM_SELECT_METHOD, &method)
        case .prefetch(let count):
            var method = amqp_basic_qos_t(prefetch_size: 0, prefetch_count: count, global: 0)
            return amqp_send_method(state, channel, AMQP_BASIC_QOS_METHOD, &method)
        case .acknowledge(let number, let multiple):
            var method = amqp_basic_ack_t(delivery_tag: number, multiple: multiple ? 1 : 0)
            return amqp_send_method(state, channel, AMQP_BASIC_ACK_METHOD, &method)
        case .reject(let number, let requeue):
            var method = amqp_basic_reject_t(delivery_tag: number, requeue: requeue ? 1 : 0)
            return amqp_send_method(state, channel, AMQP_BASIC_REJECT_METHOD, &method)
        case .declareExchange(let plan): return plan.send(state, channel)
        case .declareQueue(let plan): return plan.send(state, channel)
        case .bind(let queue, let exchange, let key):
            return Self.withBytes(queue, exchange, key) { queue, exchange, key in
                var method = amqp_queue_bind_t(
                    ticket: 0, queue: queue, exchange: exchange, routing_key: key, nowait: 0,
                    arguments: amqp_empty_table)
                return amqp_send_method(state, channel, AMQP_QUEUE_BIND_METHOD, &method)
            }
        case .unbind(let queue, let exchange, let key):
            return Self.withBytes(queue, exchange, key) { queue, exchange, key in
                var method = amqp_queue_unbind_t(
                    ticket: 0, queue: queue, exchange: exchange, routing_key: key, arguments: amqp_empty_table)
                return amqp_send_method(state, channel, AMQP_QUEUE_UNBIND_METHOD, &method)
            }
        case .consume(let queue, let tag, let acknowledges):
            return Self.withBytes(queue, tag, "") { queue, tag, _ in
                var method = amqp_basic_consume_t(
                    ticket: 0, queue: queue, consumer_tag: tag, no_local: 0, no_ack: acknowledges ? 0 : 1,
                    exclusive: 0, nowait: 0, arguments: amqp_empty_table)
                return amqp_send_method(state, channel, AMQP_BASIC_CONSUME_METHOD, &method)
            }
        case .follow(let queue, let tag, let start):
            let offset: FieldValue =
                switch start {
                case .first: .text("first")
                case .offset(let offset): .integer(Int64(clamping: offset))
                }
            return FieldTable([("x-stream-offset", offset)]).withTable { table in
                Self.withBytes(queue, tag, "") { queue, tag, _ in
                    var method = amqp_basic_consume_t(
                        ticket: 0, queue: queue, consumer_tag: tag, no_local: 0, no_ack: 0, exclusive: 0, nowait: 0,
                        arguments: table)
                    return amqp_send_method(state, channel, AMQP_BASIC_CONSUME_METHOD, &method)
                }
            }
        case .cancel(let tag):
            return tag.withAMQPBytes { tag in
                var method = amqp_basic_cancel_t(consumer_tag: tag, nowait: 0)
                return amqp_send_method(state, channel, AMQP_BASIC_CANCEL_METHOD, &method)
            }
        }
    }

    private static func withBytes(
        _ first: String, _ second: String, _ third: String,
        _ body: (amqp_bytes_t, amqp_bytes_t, amqp_bytes_t) -> Int32
    ) -> Int32 {
        first.withAMQPBytes { first in
            second.withAMQPBytes { second in third.withAMQPBytes { body(first, second, $0) } }
        }
    }
}

extension ExchangePlan {
    fileprivate func send(_ state: amqp_connection_state_t, _ channel: AMQPChannelID) -> Int32 {
        self.name.withAMQPBytes { name in
            (self.kind == .direct ? "direct" : "topic").withAMQPBytes { kind in
                var method = amqp_exchange_declare_t(
                    ticket: 0, exchange: name, type: kind, passive: 0, durable: self.isDurable ? 1 : 0, auto_delete: 0,
                    internal: 0, nowait: 0, arguments: amqp_empty_table)
                return amqp_send_method(state, channel, AMQP_EXCHANGE_DECLARE_METHOD, &method)
            }
        }
    }
}

extension QueuePlan {
    /// The arguments of the declaration.
    var arguments: [(String, FieldValue)] {
        guard !self.isPassive else { return [] }
        if let stream = self.stream {
            return [
                ("x-queue-type", .text("stream")), ("x-max-length-bytes", .integer(Int64(stream.bytes))),
                ("x-stream-max-segment-size-bytes", .integer(Int64(stream.segmentBytes))),
            ]
        }
        var fields: [(String, FieldValue)] = []
        if !self.isExclusive { fields.append(("x-queue-type", .text("quorum"))) }
        if let life = self.messageLife { fields.append(("x-message-ttl", .integer(life))) }
        if let length = self.maximumLength {
            fields.append(("x-max-length", .integer(Int64(length))))
            fields.append(("x-overflow", .text(self.overflow == .dropHead ? "drop-head" : "reject-publish")))
        }
        if let queue = self.deadLetters {
            fields.append(("x-dead-letter-exchange", .text("")))
            fields.append(("x-dead-letter-routing-key", .text(queue)))
        }
        if let limit = self.deliveryLimit { fields.append(("x-delivery-limit", .integer(Int64(limit)))) }
        return fields
    }

    fileprivate func send(_ state: amqp_connection_state_t, _ channel: AMQPChannelID) -> Int32 {
        FieldTable(self.arguments).withTable { table in
            self.name.withAMQPBytes { name in
                var method = amqp_queue_declare_t(
                    ticket: 0, queue: name, passive: self.isPassive ? 1 : 0, durable: self.isExclusive ? 0 : 1,
                    exclusive: self.isExclusive ? 1 : 0, auto_delete: 0, nowait: 0, arguments: table)
                return amqp_send_method(state, channel, AMQP_QUEUE_DECLARE_METHOD, &method)
            }
        }
    }
}
