import Gateway
import Router
import Settings
import Supervision
import Telemetry
import Workers

/// Every setting there is. All processes share one file, so each knows the names of all.
enum SettingsCatalog {
    /// By the part of the program they belong to, in the order a reader wants them.
    static let sections: [(title: String, settings: [any AnySetting])] = [
        ("Layer", LayerSettings.all),
        ("Router", RouterSettings.all + RouterStopSettings.all),
        ("Gateway", GatewaySettings.all + GatewayProcessSettings.all),
        ("Workers", WorkersSettings.all + PagesSettings.all),
        ("Publish API", PublishSettings.all),
        ("Agent", AgentSettings.all),
        ("Process", ProcessSettings.all),
        ("Logs, health and metrics", TelemetrySettings.all),
    ]

    static let all: [any AnySetting] = sections.flatMap(\.settings)
}
