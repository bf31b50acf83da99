import Settings
import Upstream

extension RemoteKeySet {
    /// `"jwks": "https://HOST/PATH"` or `"jwks": {"endpoint": …, "lifetime": "1h"}`
    static func read(_ node: SettingsNode) -> RemoteKeySet? {
        var lifetime: Int?
        var place: (address: UpstreamAddress, target: String)?
        let wanted = "\"https://HOST/PATH\""
        let kind = SettingKind<String>.string(wanted).converted { text in
            try Self.place(text)
        } back: {
            "\($0.address)\($0.target)"
        }
        if node.isObject {
            node.allow(["endpoint", "lifetime"])
            place = node.required("endpoint", kind)
            lifetime = node.optional("lifetime", .wholeSeconds(atLeast: 10, atMost: 604_800))
        } else {
            place = node.read(kind)
        }
        guard let place else { return nil }
        return RemoteKeySet(address: place.address, target: place.target, lifetime: Int64(lifetime ?? 3_600))
    }

    private static func place(_ url: String) throws -> (address: UpstreamAddress, target: String) {
        guard url.hasPrefix("https://") || url.hasPrefix("http://"), let colon = url.firstIndex(of: ":") else {
            throw SettingMismatch(wanted: "\"https://HOST/PATH\"")
        }
        let authority = url[url.index(colon, offsetBy: 3)...]
        let path = authority.firstIndex(of: "/") ?? authority.endIndex
        let target = authority[path...]
        guard target.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw SettingMismatch(wanted: "\"https://HOST/PATH\", percent-encoded")
        }
        return (try UpstreamAddress(parsing: String(url[..<path])), target.isEmpty ? "/" : String(target))
    }
}
