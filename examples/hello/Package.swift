// swift-tools-version: 6.2
import PackageDescription

// An application of its own on Carillon's pool of threads: swift run --package-path examples/hello
// Elsewhere the path is the address of Carillon's repository.
let package = Package(
    name: "hello",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "carillon", path: "../..")],
    targets: [
        .executableTarget(name: "Hello", dependencies: [.product(name: "Workers", package: "carillon")])
    ]
)
