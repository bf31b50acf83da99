import Foundation
import TestSupport
import Testing

/// Runs `Browser/*.test.mjs` with node.
struct BrowserModuleTests {
    @Test(.timeLimit(.minutes(1))) func theBrowserModuleDoesWhatItsPageSays() async throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Browser/").path
        let module = packageRoot.appending(path: "Sources/CAssets/files/carillon.js").path
        let (status, text) = try await run("node", ["--test", tests], ["CARILLON_MODULE": module])
        #expect(status == 0, "node 20 is needed (Debian package nodejs is 18 or later); it said:\n\(text)")
    }
}
