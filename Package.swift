// swift-tools-version: 6.2
import PackageDescription

/// What every target is built with: upcoming language features, each with its proposal, and, where it is checked
/// (scripts/test), warnings as errors. Who only builds it is not stopped by a warning of a newer compiler.
let features: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),  // SE-0335: `any` is written where a protocol is boxed
        .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409: imports are public where signatures show them
    ] + (Context.environment["CARILLON_STRICT"] != nil ? [.treatAllWarnings(as: .error)] : [])

// Products of other packages, named once.
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioWebSocket: Target.Dependency = .product(name: "NIOWebSocket", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK: Target.Dependency = .product(name: "NIOHPACK", package: "swift-nio-http2")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let jwtKit: Target.Dependency = .product(name: "JWTKit", package: "jwt-kit")
let swiftProtobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let serviceLifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")

let package = Package(
    name: "carillon",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "carillon", targets: ["Carillon"]),
        .library(name: "ChannelLayer", targets: ["ChannelLayer"]),
        .library(name: "RedisLayer", targets: ["RedisLayer"]),
        .library(name: "RabbitMQLayer", targets: ["RabbitMQLayer"]),
        .library(name: "Workers", targets: ["Workers"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        // Codecs and values: no I/O, no clock.
        .target(name: "JSON", dependencies: [nioCore], swiftSettings: features),
        .target(name: "HTTP1", dependencies: [nioCore], swiftSettings: features),
        // Files of a folder as HTTP answers: for the router and the workers.
        .target(name: "Files", dependencies: ["HTTP1", nioCore], swiftSettings: features),
        // What carries messages between processes.
        .target(name: "ChannelLayer", dependencies: ["JSON", nioCore], swiftSettings: features),
        // Without pkg-config, which names a flag that the package manager warns of at every build.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .target(
            name: "RedisLayer",
            dependencies: [
                "ChannelLayer", "CHiredis", "HTTP1", "JSON", "Settings", "Telemetry", nioCore, nioPosix, nioSSL,
                logging, crypto, cryptoExtras,
            ], swiftSettings: features),
        .systemLibrary(name: "CRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
        .target(name: "CAMQPSupport", dependencies: ["CRabbitMQ"]),
        .target(
            name: "RabbitMQLayer",
            dependencies: [
                "ChannelLayer", "CAMQPSupport", "CDescriptors", "CRabbitMQ", "HTTP1", "JSON", "Settings", nioCore,
                nioPosix, logging,
            ], swiftSettings: features),
        // What every part has: settings declared once, log keys, metrics.
        .target(name: "Settings", dependencies: ["JSON", nioCore], swiftSettings: features),
        .target(
            name: "Telemetry", dependencies: ["HTTP1", "JSON", "Settings", logging, metrics, nioCore, nioPosix],
            swiftSettings: features),
        // System calls Swift cannot import: descriptor passing, and the files embedded in the binary.
        .target(name: "CDescriptors"),
        // What NIO does not have of sockets, threads and processes.
        .target(name: "Sockets", dependencies: ["CDescriptors", nioCore], swiftSettings: features),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // Kept-alive HTTP/1.1 connections to upstreams: the router's proxying, the gateway's questions to workers.
        .target(
            name: "Upstream", dependencies: ["HTTP1", "Sockets", "Telemetry", nioCore, nioPosix, nioSSL, logging],
            swiftSettings: features),
        // Messages of the Centrifugo client protocol in Protobuf, made of their schema ("make protobuf"). By themselves,
        // because the generator's code is not held to the features of ours; its @unchecked Sendable is swift-protobuf's own
        // way with fields that it keeps in a box, of which no two values share one that is written to.
        .target(name: "ClientWire", dependencies: [swiftProtobuf], exclude: ["client.proto"]),
        // The processes.
        .target(
            name: "Gateway",
            dependencies: [
                "ChannelLayer", "ClientWire", "HTTP1", "JSON", "Settings", "Telemetry", "Upstream", "CAssets",
                "CDescriptors", "CZlib", "Sockets",
                nioCore, nioPosix, logging, metrics, crypto, jwtKit, swiftProtobuf,
            ], swiftSettings: features),
        .target(
            name: "Router",
            dependencies: [
                "Files", "HTTP1", "JSON", "Settings", "Sockets", "Telemetry", "Upstream", "CDescriptors", nioCore,
                nioPosix, nioSSL, nioTLS, nioHTTP2, nioHPACK, logging, metrics, crypto, x509, asn1,
            ], swiftSettings: features),
        // Process managers: events of supervisord in, notices out.
        .target(
            name: "Supervision",
            dependencies: ["HTTP1", "JSON", "Telemetry", "Upstream", nioCore, logging], swiftSettings: features),
        .target(name: "CAssets", exclude: ["files"]),
        .target(
            name: "Workers",
            dependencies: [
                "ChannelLayer", "Files", "HTTP1", "JSON", "Settings", "Sockets", "Telemetry", "CAssets", "CDescriptors",
                nioCore, nioPosix, logging, metrics, unixSignals,
            ], swiftSettings: features),
        .executableTarget(
            name: "Carillon",
            dependencies: [
                "ChannelLayer", "RedisLayer", "RabbitMQLayer", "Gateway", "HTTP1", "JSON", "Router", "Settings",
                "Sockets", "Supervision", "Telemetry", "Upstream", "Workers", "CDescriptors",
                nioCore, nioPosix, nioWebSocket, logging, metrics, crypto, jwtKit, argumentParser, serviceLifecycle,
                unixSignals,
            ], swiftSettings: features),
        // A worker application of one's own; examples/hello is a package that has it by itself.
        .executableTarget(name: "Hello", dependencies: ["Workers"], path: "examples/hello/Sources/Hello"),
        // Tests: one folder per target, what they share in TestSupport.
        .target(
            name: "TestSupport", dependencies: ["ChannelLayer", "JSON", nioCore, nioPosix], path: "Tests/Support",
            swiftSettings: features),
        .testTarget(name: "JSONTests", dependencies: ["JSON", "TestSupport", nioCore], swiftSettings: features),
        .testTarget(
            name: "HTTP1Tests", dependencies: ["HTTP1", "TestSupport", nioHTTP1, nioEmbedded], swiftSettings: features),
        .testTarget(
            name: "ChannelLayerTests", dependencies: ["ChannelLayer", "JSON", "TestSupport", nioCore],
            swiftSettings: features),
        .testTarget(
            name: "RedisLayerTests",
            dependencies: [
                "CHiredis", "ChannelLayer", "HTTP1", "JSON", "RedisLayer", "Settings", "TestSupport", nioCore,
                nioEmbedded, nioPosix, logging,
            ], swiftSettings: features),
        .testTarget(
            name: "RabbitMQLayerTests", dependencies: ["RabbitMQLayer", "Settings", "TestSupport", nioPosix, logging],
            swiftSettings: features),
        .testTarget(
            name: "SettingsTests",
            dependencies: [
                "Carillon", "Settings", "Telemetry", "TestSupport", nioCore, nioPosix, logging, metrics, argumentParser,
            ], swiftSettings: features),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "CDescriptors", "ClientWire", "Sockets", "Telemetry", "Upstream", "Workers", "TestSupport",
                nioEmbedded,
                nioPosix, jwtKit, logging, swiftProtobuf,
            ], swiftSettings: features),
        .testTarget(
            name: "RouterTests",
            dependencies: [
                "Files", "Router", "Settings", "Sockets", "Upstream", "TestSupport", nioEmbedded, nioPosix, nioSSL,
                nioHTTP2, nioHPACK, crypto, x509, asn1,
            ], swiftSettings: features),
        .testTarget(
            name: "SupervisionTests", dependencies: ["Supervision", "TestSupport", nioPosix], swiftSettings: features),
        .testTarget(
            name: "WorkersTests", dependencies: ["Files", "Workers", "TestSupport", nioPosix], exclude: ["Browser"],
            swiftSettings: features),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c2x
)

// The benchmarks need `package` declarations, so they are targets of this package; nobody builds them unasked
// (Benchmarks/micro.sh, Benchmarks/layers.py).
if Context.environment["CARILLON_BENCHMARKS"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Micro", dependencies: ["ChannelLayer", "Gateway", "HTTP1", "JSON", nioCore, nioPosix, logging],
            path: "Benchmarks/Micro", swiftSettings: features))
    package.targets.append(
        .executableTarget(
            name: "LayerBench", dependencies: ["ChannelLayer", "RedisLayer", "RabbitMQLayer", logging],
            path: "Benchmarks/LayerBench", swiftSettings: features))
}
