/// What the publish API answers instead of a result. Codes and texts are those of the Centrifugo server API, which its
/// client libraries know.
package struct APIError: Error, Sendable, Equatable {
    package let code: Int
    package let message: String
    /// The status in transport error mode; in the ordinary mode it is 200.
    package let status: Int

    /// The layer could not take the message. A retry may help.
    package static let `internal` = APIError(code: 100, message: "internal server error", status: 500)
    /// The channel's namespace is not there. Do not retry.
    package static let unknownChannel = APIError(code: 102, message: "unknown channel", status: 404)
    /// The method is known and not offered here.
    package static let methodNotFound = APIError(code: 104, message: "method not found", status: 404)
    /// A name is missing or no name, or there is nothing to publish. Do not retry.
    package static let badRequest = APIError(code: 107, message: "bad request", status: 400)

    /// The namespace, or the layer, does not keep what was asked for. Do not retry.
    package static let notAvailable = APIError(code: 108, message: "not available", status: 400)
    /// The history has another epoch than the position. Start anew.
    package static let unrecoverablePosition = APIError(code: 112, message: "unrecoverable position", status: 416)

    /// `{"code":107,"message":"bad request"}`. Codes and messages are ours, so nothing needs escaping.
    package var json: String { #"{"code":\#(self.code),"message":"\#(self.message)"}"# }
}
