import Foundation
import TestSupport

/// An authority, and what it signed for the broker at "localhost" and for a client.
struct TestCertificates: Sendable {
    let authority: String
    let certificate: String
    let key: String
    /// Where the broker listens for TLS.
    let port: Int
    /// What the broker is told.
    let brokerLines: String

    /// Makes the files in `folder`.
    init(in folder: String) throws {
        let script = """
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority
            for name in broker client; do
                openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
                echo subjectAltName=DNS:localhost > ext
                openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.pem
            done
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-ec", script]
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        self.authority = "\(folder)/ca.pem"
        self.certificate = "\(folder)/client.pem"
        self.key = "\(folder)/client.key"
        self.port = try RabbitMQProcess.freePort()
        self.brokerLines = """
            listeners.ssl.1 = 127.0.0.1:\(self.port)
            ssl_options.cacertfile = \(folder)/ca.pem
            ssl_options.certfile = \(folder)/broker.pem
            ssl_options.keyfile = \(folder)/broker.key
            ssl_options.verify = verify_peer
            ssl_options.fail_if_no_peer_cert = true

            """
    }
}
