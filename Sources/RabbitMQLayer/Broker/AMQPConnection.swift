import CAMQPSupport
import CRabbitMQ
import Glibc
import NIOCore

/// One connection of the library: a local variable of the one thread that uses it. Decides nothing.
///
/// Whatever throws leaves a connection that is of no more use.
struct AMQPConnection: ~Copyable {
    private let state: amqp_connection_state_t
    /// Deliveries from here are marked with their routing key.
    private let plainExchange: [UInt8]
    let address: RabbitMQAddress
    /// What both sides agreed upon.
    let heartbeat: Duration

    /// Connects and logs in. Blocks for `connectTimeout` at most, once for the socket and once for the log-in.
    ///
    /// - Parameter name: what `rabbitmqctl list_connections` shows.
    init(
        to address: RabbitMQAddress, _ configuration: RabbitMQConfiguration, name: String
    ) throws(BrokerError) {
        guard let state = amqp_new_connection() else { throw BrokerError(.lost, "out of memory for a connection") }
        do throws(BrokerError) {
            try Self.open(state, address, configuration)
            try Self.logIn(state, address, configuration, name)
        } catch {
            amqp_destroy_connection(state)
            throw error
        }
        self.state = state
        self.address = address
        self.plainExchange = Array((configuration.publishExchange ?? "").utf8)
        let heartbeat = amqp_get_heartbeat(state)
        self.heartbeat = heartbeat > 0 ? .seconds(heartbeat) : .seconds(600)
    }

    deinit { amqp_destroy_connection(self.state) }

    /// Says goodbye. Blocks for as long as the broker takes to answer, `connectTimeout` at most.
    consuming func close() { _ = amqp_connection_close(self.state, Int32(AMQP_REPLY_SUCCESS)) }

    // MARK: Reading

    /// The next frame that is there; `nil` when there is none now.
    func next() throws(BrokerError) -> ServerFrame? {
        amqp_maybe_release_buffers(self.state)
        var frame = amqp_frame_t()
        var now = timeval()
        let status = amqp_simple_wait_frame_noblock(self.state, &frame, &now)
        if status == AMQP_STATUS_TIMEOUT.rawValue { return nil }
        try self.check(status)
        return ServerFrame(frame, plainExchange: self.plainExchange)
    }

    /// Waits for a frame, for `waker`, or until the time is over. Must be called, or something be read or sent, every half
    /// heartbeat: only then are heartbeats sent.
    func wait(_ waker: Waker, atMost time: Duration) {
        // What the library has read already, the system does not know of.
        guard amqp_frames_enqueued(self.state) == 0, amqp_data_in_buffer(self.state) == 0 else { return }
        waker.wait(socket: amqp_get_sockfd(self.state), atMost: min(time, self.heartbeat / 2))
    }

    // MARK: Writing

    /// Sends a message. Blocks while the socket is full.
    func publish(
        _ body: ByteBuffer, exchange: String, key: String, channel: AMQPChannelID, mandatory: Bool, persistent: Bool
    ) throws(BrokerError) {
        let status = body.withUnsafeReadableBytes { body in
            exchange.withAMQPBytes { exchange in
                key.withAMQPBytes { key in
                    // Peers send no properties; what must outlive the broker says so.
                    var properties = amqp_basic_properties_t()
                    properties._flags = persistent ? amqp_flags_t(AMQP_BASIC_DELIVERY_MODE_FLAG) : 0
                    properties.delivery_mode = 2
                    return amqp_basic_publish(
                        self.state, channel, exchange, key, mandatory ? 1 : 0, 0, &properties, amqp_bytes_t(body))
                }
            }
        }
        try self.check(status)
    }

    /// Says something. Answers, where there are any, come as frames.
    func send(_ method: ClientMethod, on channel: AMQPChannelID) throws(BrokerError) {
        try self.check(method.send(self.state, channel))
    }

    private func check(_ status: Int32) throws(BrokerError) {
        guard status != AMQP_STATUS_OK.rawValue else { return }
        throw BrokerError(.lost, "the connection to RabbitMQ at \(self.address) broke: \(Self.text(status))")
    }

    static func text(_ status: Int32) -> String { String(cString: amqp_error_string2(status)) }
}

// MARK: - Connecting

extension AMQPConnection {
    private static func open(
        _ state: amqp_connection_state_t, _ address: RabbitMQAddress, _ configuration: RabbitMQConfiguration
    ) throws(BrokerError) {
        let socket: OpaquePointer?
        if address.isSecure {
            socket = try Self.secureSocket(state, configuration)
        } else {
            socket = amqp_tcp_socket_new(state)
        }
        guard let socket else { throw BrokerError(.lost, "out of memory for a socket") }
        var limit = timeval(configuration.connectTimeout)
        amqp_set_handshake_timeout(state, &limit)
        amqp_set_rpc_timeout(state, &limit)
        let status = amqp_socket_open_noblock(socket, address.host, Int32(address.port), &limit)
        guard status != AMQP_STATUS_OK.rawValue else { return }
        var hint = Self.text(status)
        if status == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED.rawValue {
            hint += "; the certificate must name \"\(address.host)\", and a name, no address, must stand in the URL"
        } else if status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED.rawValue {
            hint += "; see the authority that config.ssl.ca names"
        }
        throw BrokerError(.lost, "RabbitMQ at \(address) cannot be reached (\(configuration.setting)): \(hint)")
    }

    private static func secureSocket(
        _ state: amqp_connection_state_t, _ configuration: RabbitMQConfiguration
    ) throws(BrokerError) -> OpaquePointer? {
        guard let socket = amqp_ssl_socket_new(state) else { return nil }
        let tls = configuration.tls
        amqp_ssl_socket_set_verify_peer(socket, tls.verifiesPeer ? 1 : 0)
        amqp_ssl_socket_set_verify_hostname(socket, tls.verifiesPeer && tls.verifiesName ? 1 : 0)
        if tls.verifiesPeer {
            let file = tls.authorityFile ?? RabbitMQTLS.systemAuthorities
            guard amqp_ssl_socket_set_cacert(socket, file) == AMQP_STATUS_OK.rawValue else {
                throw BrokerError(.refused, "config.ssl.ca: \(file) cannot be read as PEM certificates")
            }
        }
        guard let certificate = tls.certificateFile else { return socket }
        guard amqp_ssl_socket_set_key(socket, certificate, tls.keyFile ?? certificate) == AMQP_STATUS_OK.rawValue else {
            throw BrokerError(
                .refused,
                "config.ssl.certificate and config.ssl.key: \(certificate) and \(tls.keyFile ?? certificate) cannot be "
                    + "read as a PEM certificate and its key")
        }
        return socket
    }

    private static func logIn(
        _ state: amqp_connection_state_t, _ address: RabbitMQAddress, _ configuration: RabbitMQConfiguration,
        _ name: String
    ) throws(BrokerError) {
        let abilities = [
            "authentication_failure_close", "consumer_cancel_notify", "connection.blocked", "basic.nack",
            "publisher_confirms",
        ]
        let properties = FieldTable([
            ("product", .text("Carillon")), ("connection_name", .text(name)),
            ("capabilities", .table(abilities.map { ($0, .bool(true)) })),
        ])
        let heartbeat = Int32(clamping: max(configuration.heartbeat.components.seconds, 1))
        let reply = properties.withTable { table in
            var table = table
            return amqp_support_login(
                state, address.virtualHost, 0, 131_072, heartbeat, &table, address.user, address.password)
        }
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL: return
        case AMQP_RESPONSE_SERVER_EXCEPTION where reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD:
            if let refusal = BrokerRefusal(connectionClose: reply.reply.decoded) {
                throw refusal.ofLogin(to: address, setting: configuration.setting)
            }
        default: break
        }
        throw BrokerError(
            .lost,
            "RabbitMQ at \(address) does not answer as it should (\(configuration.setting)): "
                + Self.text(reply.library_error))
    }
}

extension timeval {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
    }
}
