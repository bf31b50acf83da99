import ChannelLayer
import Router
import Settings
import Upstream

/// The settings of an agent process.
enum AgentSettings {
    static let host = Setting(
        "agent.host", default: nil,
        help: "What this machine is called in what the agent tells; the machine's own name when left out.",
        example: "web1")

    static let group = Setting(
        "agent.group", default: "processes", help: "The group that hears of every change of a process, and snapshots.",
        bounds: "a group name: 1 to 99 of A-Z a-z 0-9 - _ .", accepts: { (try? GroupName($0)) != nil })

    static let askGroup = Setting(
        "agent.ask_group", default: "agents",
        help: """
            The group in which agents are asked for a snapshot: {"type": "carillon.snapshot"}, from Python, or as a route's \
            "receive". Not heard when the agent publishes over the API.
            """, bounds: "a group name: 1 to 99 of A-Z a-z 0-9 - _ .", accepts: { (try? GroupName($0)) != nil })

    static let supervisor = Setting(
        "agent.supervisor", default: nil, kind: SettingKind<UpstreamAddress>.upstreamAddress.orNone,
        help: """
            Where supervisord's own server listens, for snapshots and exit statuses. Left out, supervisord tells it \
            (SUPERVISOR_SERVER_URL), if it has [unix_http_server] or [inet_http_server].
            """, example: "unix:///run/supervisor.sock")

    static let supervisorUser = Setting(
        "agent.supervisor_user", default: nil, help: "The user name that supervisord's server wants.", example: "agent")

    static let supervisorPassword = Setting(
        "agent.supervisor_password", default: nil, help: "The password that supervisord's server wants.",
        isSecret: true, example: "${SUPERVISOR_PASSWORD}")

    static let publishURL = Setting(
        "agent.publish_url", default: nil,
        help: """
            Publishes over the publish API at this address instead of the layer, with the key in CARILLON_API_KEY. Over the \
            memory layer, which reaches no other process, http://127.0.0.1:8000 is taken.
            """, example: "http://127.0.0.1:8000")

    static let all: [any AnySetting] = [
        host, group, askGroup, supervisor, supervisorUser, supervisorPassword, publishURL,
    ]
}

/// The same as values.
struct AgentConfiguration: Sendable {
    var host: String?
    var group: String
    var askGroup: String
    var supervisor: UpstreamAddress?
    var credentials: (user: String, password: String)?
    var publishURL: String?

    init(reading reader: SettingsReader) {
        self.host = reader.value(AgentSettings.host)
        self.group = reader.value(AgentSettings.group)
        self.askGroup = reader.value(AgentSettings.askGroup)
        self.supervisor = reader.value(AgentSettings.supervisor)
        let (user, password) = (
            reader.value(AgentSettings.supervisorUser), reader.value(AgentSettings.supervisorPassword)
        )
        self.credentials = user.map { ($0, password ?? "") }
        self.publishURL = reader.value(AgentSettings.publishURL)
    }
}
