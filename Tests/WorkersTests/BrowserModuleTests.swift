import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Workers

/// Runs `Browser/*.test.mjs` with node, 18 or later, on the module as it is served.
struct BrowserModuleTests {
    @Test(.timeLimit(.minutes(1))) func theBrowserModuleDoesWhatItsPageSays() async throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let module = folder.url.appending(path: "carillon.mjs")
        try Data(EmbeddedFile.browserModule.bytes.readableBytesView).write(to: module)

        let tests = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Browser").path
        let files = try FileManager.default.contentsOfDirectory(atPath: tests).filter { $0.hasSuffix(".test.mjs") }
        #expect(files.count == 3)
        let (status, text) = try await run(
            "node", ["--test"] + files.map { "\(tests)/\($0)" }, ["CARILLON_MODULE": module.path])
        #expect(status == 0, "node 18 or later is needed (Debian package nodejs); it said:\n\(text)")
    }
}
