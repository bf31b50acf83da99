import JWTKit

/// The claims of a token, as far as routes can use them.
struct TokenPayload: JWTPayload {
    /// Texts, numbers and truth values by name.
    var claims: [String: String] = [:]
    /// Lists of texts by name.
    var lists: [String: [String]] = [:]
    /// `exp`, in seconds since 1970.
    var expires: Double?
    /// `nbf`, in seconds since 1970.
    var notBefore: Double?

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(claims: [String: String]) { self.claims = claims }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        // These two must be numbers where they are there: a token whose end cannot be read has none otherwise.
        self.expires = try container.decodeIfPresent(Double.self, forKey: Name(stringValue: "exp"))
        self.notBefore = try container.decodeIfPresent(Double.self, forKey: Name(stringValue: "nbf"))
        for key in container.allKeys {
            if let text = try? container.decode(String.self, forKey: key) {
                self.claims[key.stringValue] = text
            } else if let number = try? container.decode(Int64.self, forKey: key) {
                self.claims[key.stringValue] = String(number)
            } else if let truth = try? container.decode(Bool.self, forKey: key) {
                self.claims[key.stringValue] = truth ? "true" : "false"
            } else if let list = try? container.decode([String].self, forKey: key) {
                self.lists[key.stringValue] = list
            }
        }
    }

    /// Needed by the protocol; the gateway signs nothing.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Name.self)
        for (name, value) in self.claims { try container.encode(value, forKey: Name(stringValue: name)) }
    }

    /// Times, audience and issuer are checked by `TokenAuthentication`, which is told the time.
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}
