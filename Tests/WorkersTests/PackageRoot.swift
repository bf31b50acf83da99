import Foundation

/// The root of the package.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized
