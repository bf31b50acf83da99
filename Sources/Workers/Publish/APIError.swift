/// What the publish API answers instead of a result. Codes and texts are those of the Centrifugo server API, which its
/// client libraries know.
package struct APIError: Error, Sendable, Equatable {
    package let code: Int
    package let message: String
    /// The status in transport error mode; in the ordinary mode it is 200.
    package let status: Int

    /// The layer could not take the message. A retry may help.
    package static let `internal` = APIError(code: 100, message: "internal server error", status: 500)
    /// The method is known and not offered here.
    package static let methodNotFound = APIError(code: 104, message: "method not found", status: 404)
    /// A name is missing or no name, or there is nothing to publish. Do not retry.
    package static let badRequest = APIError(code: 107, message: "bad request", status: 400)

    /// `{"code":107,"message":"bad request"}`. Codes and messages are ours, so nothing needs escaping.
    package var json: String { #"{"code":\#(self.code),"message":"\#(self.message)"}"# }
}
