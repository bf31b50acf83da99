/// The methods of the server API, by the names in their paths.
enum APIMethod: String, CaseIterable {
    case publish, broadcast
    case subscribe, unsubscribe, disconnect, refresh
    case presence
    case presenceStats = "presence_stats"
    case history
    case historyRemove = "history_remove"
    case channels, connections, info, rpc
    case batch
}
