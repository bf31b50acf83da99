import Foundation
import TestSupport
import Testing

/// Runs `Browser/carillon.test.mjs` with node, 18 or later.
struct BrowserModuleTests {
    @Test(.timeLimit(.minutes(1))) func theBrowserModuleDoesWhatItsPageSays() async throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Browser/carillon.test.mjs").path
        let module = packageRoot.appending(path: "Sources/CAssets/files/carillon.js").path
        let (status, text) = try await run("node", ["--test", tests], ["CARILLON_MODULE": module])
        #expect(status == 0, "node 18 or later is needed (Debian package nodejs); it said:\n\(text)")
    }
}
