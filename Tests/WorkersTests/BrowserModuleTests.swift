import Foundation
import Testing

/// Runs `Browser/*.test.mjs` with node.
struct BrowserModuleTests {
    @Test(.timeLimit(.minutes(1))) func theBrowserModuleDoesWhatItsPageSays() throws {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        let module = here.appending(path: "../../Sources/CAssets/files/carillon.js").standardized
        let node = Process()
        node.executableURL = URL(filePath: "/usr/bin/env")
        node.arguments = ["node", "--test", here.appending(path: "Browser/").path]
        node.environment = ProcessInfo.processInfo.environment.merging(["CARILLON_MODULE": module.path]) { $1 }
        let output = Pipe()
        node.standardOutput = output
        node.standardError = output
        try node.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        node.waitUntilExit()
        #expect(node.terminationStatus == 0, "node is needed (Debian package nodejs); it said:\n\(text)")
    }
}
