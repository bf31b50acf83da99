package import Logging
package import Settings

/// What an operator can say about logs, health and metrics.
package enum TelemetrySettings {
    package static let listen = Setting(
        "telemetry.listen", default: nil, kind: SettingKind<ListenAddress>.listenAddress.orNone,
        help: """
            Where /healthz and /metrics are served; null serves them nowhere. Keep it on an internal address: it asks \
            nobody who they are. Each process needs an address of its own.
            """, example: "http://127.0.0.1:9000")

    package static let logLevel = Setting(
        "log.level", default: Logger.Level.notice,
        help: "The least severe lines that are written. info tells of every oddity, debug of every connection.")

    package static let logFormat = Setting(
        "log.format", default: LogFormat.text, help: "How log lines look: text for people, json for collectors.")

    package static let all: [any AnySetting] = [logLevel, logFormat, listen]
}

/// Logs, health and metrics of one process.
package struct TelemetryConfiguration: Sendable {
    package var listen: ListenAddress?
    package var logLevel: Logger.Level
    package var logFormat: LogFormat

    package init(reading reader: SettingsReader) {
        self.listen = reader.value(TelemetrySettings.listen)
        self.logLevel = reader.value(TelemetrySettings.logLevel)
        self.logFormat = reader.value(TelemetrySettings.logFormat)
    }
}
