/// Several applications under one roof, chosen by the beginning of the path.
///
/// ```swift
/// let site: Routes = ["/api/": api, "/static/": StaticFiles(folder: "public", under: "/static/"), "/": home]
/// ```
///
/// A prefix that ends in `/` answers everything below it, any other that one path. The longest one wins; what no
/// prefix matches is answered 404. The application sees the whole path.
public struct Routes: SynchronousApplication, ExpressibleByDictionaryLiteral {
    private let routes: [(prefix: String, application: any SynchronousApplication)]

    /// - Parameter routes: prefixes, each once, beginning with `/`.
    public init(_ routes: [(String, any SynchronousApplication)]) {
        self.routes = routes.map { (prefix: $0.0, application: $0.1) }
            .sorted { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    public init(dictionaryLiteral elements: (String, any SynchronousApplication)...) { self.init(elements) }

    public func respond(to request: WorkerRequest) throws -> WorkerResponse {
        let match = self.routes.first { prefix, _ in
            prefix.last == "/" ? request.path.hasPrefix(prefix) : request.path == prefix
        }
        guard let match else { return ErrorPage.response(404, "There is no such page here.") }
        return try match.application.respond(to: request)
    }
}
