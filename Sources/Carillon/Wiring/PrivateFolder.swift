import Glibc

/// A folder for sockets that only this process uses; removed at the end.
struct PrivateFolder: Part {
    let name = "folder"
    let path: String

    /// - Throws: `Failure` when no folder can be made.
    init() throws {
        let place = Process.environment["RUNTIME_DIRECTORY"] ?? Process.environment["XDG_RUNTIME_DIR"] ?? "/tmp"
        var made: String?
        // A runtime folder may be named but not there, for example under sudo.
        for place in [place, "/tmp"] where made == nil {
            var template = Array("\(place)/carillon-XXXXXX".utf8CString)
            if place.utf8.count <= 64, mkdtemp(&template) != nil {
                made = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
        guard let made else {
            throw Failure("no folder for sockets can be made in /tmp: \(String(cString: strerror(errno)))")
        }
        self.path = made
    }

    func start() async throws {}

    func stop() async {
        for name in ["worker.sock", "gateway.sock", "gateway.sock.handoff"] { unlink("\(self.path)/\(name)") }
        rmdir(self.path)
    }
}
