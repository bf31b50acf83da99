import Foundation

/// A certificate authority, and a server's and a client's certificate signed by it, made by openssl for one test.
public final class TestCertificates: Sendable {
    private let folder: TestFolder
    public var authorityFile: String { self.folder.file("ca.pem") }
    /// For `localhost` and 127.0.0.1.
    public var certificateFile: String { self.folder.file("server.pem") }
    public var keyFile: String { self.folder.file("server.key") }
    public var clientCertificateFile: String { self.folder.file("client.pem") }
    public var clientKeyFile: String { self.folder.file("client.key") }

    /// - Parameter names: the server's, as `subjectAltName` has them.
    public init(names: String = "DNS:localhost,IP:127.0.0.1") async throws {
        self.folder = try TestFolder()
        let script = """
            set -e; cd "$1"
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Test authority" \
              -keyout ca.key -out ca.pem
            for name in server client; do
              openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
              echo "subjectAltName=$2" > $name.ext
              openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
            done
            """
        let (status, text) = try await run("sh", ["-c", script, "sh", self.folder.path, names])
        guard status == 0 else { throw RedisServerFailure("openssl: \(text)") }
    }
}
