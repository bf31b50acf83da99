package import ChannelLayer
import HTTP1
import JSON
package import NIOCore
import Synchronization

/// The application `carillon serve` shows: a page, and jobs that tell how they go.
///
/// `GET /` is the page, `GET /chat` one that needs channels of the namespace `chat`. `POST /jobs` runs a job on the
/// worker's thread: each step is published to the group `demo` and, as a line of JSON, streamed in the answer to the
/// request.
package struct DemoApplication: SynchronousApplication {
    /// What a job is made of.
    package struct Options: Sendable {
        /// Steps of a job.
        package var steps = 12
        /// Time one step takes.
        package var stepTime = TimeAmount.milliseconds(350)
        /// Jobs that run at once; one more is answered 503. Each holds a thread of the pool while it runs.
        package var jobs = 4

        package init() {}
    }

    /// The group that hears of the jobs.
    package static let group = "demo"

    private let layer: any ChannelLayer
    private let group: GroupName
    private let options: Options
    private let pause: @Sendable (TimeAmount) -> Void
    private let running = RunningJobs()

    /// - Parameter pause: how a step passes its time; blocks the calling thread.
    package init(
        layer: any ChannelLayer, options: Options = Options(),
        pause: @escaping @Sendable (TimeAmount) -> Void = DemoApplication.sleep
    ) throws(LayerError) {
        self.layer = layer
        self.group = try GroupName(DemoApplication.group)
        self.options = options
        self.pause = pause
    }

    package func respond(to request: WorkerRequest) throws -> WorkerResponse {
        switch request.path {
        case "/":
            return EmbeddedFile.demoPage.respond(to: request)
        case "/chat":
            return EmbeddedFile.chatPage.respond(to: request)
        case "/channels/carillon.js":
            // Normally the gateway's; here for a worker that stands alone.
            return EmbeddedFile.browserModule.respond(to: request)
        case "/jobs":
            return self.startJob(request)
        default:
            return ErrorPage.response(404, "There is no such page here.")
        }
    }

    private func startJob(_ request: WorkerRequest) -> WorkerResponse {
        guard request.method == "POST" else {
            var response = ErrorPage.response(405, "A job is started with POST.")
            response.fields.append("Allow", "POST")
            return response
        }
        // A page elsewhere must not start jobs through its visitor's browser.
        if request.fields["Sec-Fetch-Site"] == "cross-site" {
            return ErrorPage.response(403, "Jobs are started from this site's own page.")
        }
        guard let place = self.running.take(limit: self.options.jobs) else {
            return ErrorPage.response(503, "Enough jobs run already. Try again in a moment.", retryAfter: 2)
        }
        var response = WorkerResponse.stream(contentType: "application/x-ndjson") { body in
            self.run(place, body)
        }
        response.fields.append("Cache-Control", "no-store")
        response.fields.append("X-Accel-Buffering", "no")  // nginx would collect the lines
        return response
    }

    /// Runs all steps, also when the one who started it has left: the other tabs still listen.
    private func run(_ place: RunningJobs.Place, _ body: any BodyWriter) {
        let begin = NIODeadline.now()
        var isHeard = true
        func tell(_ event: String) {
            self.publish(event)
            guard isHeard else { return }
            do { try body.write(event + "\n") } catch { isHeard = false }
        }
        let of = self.options.steps
        tell(#"{"type":"job.progress","job":"\#(place.name)","step":0,"of":\#(of),"text":"started"}"#)
        for step in 1...max(1, of) {
            self.pause(self.options.stepTime)
            let text = DemoApplication.texts[(step - 1) % DemoApplication.texts.count]
            tell(#"{"type":"job.progress","job":"\#(place.name)","step":\#(step),"of":\#(of),"text":"\#(text)"}"#)
        }
        let milliseconds = (NIODeadline.now() - begin).nanoseconds / 1_000_000
        tell(#"{"type":"job.done","job":"\#(place.name)","of":\#(of),"milliseconds":\#(milliseconds)}"#)
    }

    /// What a founder does, step by step.
    private static let texts = [
        "drawing the profile", "building the core", "moulding the cope", "drying the mould", "melting the bronze",
        "pouring", "cooling", "breaking the mould", "filing", "tuning the hum", "hanging the clapper", "ringing",
    ]

    private func publish(_ event: String) {
        let message = LayerMessage.publication(.json(JSONText(unchecked: ByteBuffer(string: event))))
        self.layer.submit(message, toGroup: self.group, completion: nil)
    }

    /// Blocks the calling thread.
    package static func sleep(_ time: TimeAmount) {
        let never = Monitor(())
        _ = never.wait(until: .now() + time) { _ in Bool?.none }
    }
}

/// Counts jobs, and lets so many run at once.
private final class RunningJobs: Sendable {
    /// Held by a job; given back when the last one lets go of it.
    final class Place: Sendable {
        /// Unlike that of any other job, also of another process: pages stay open while workers come and go.
        let name: String
        private let jobs: RunningJobs

        init(_ name: String, _ jobs: RunningJobs) {
            self.name = name
            self.jobs = jobs
        }

        deinit { self.jobs.state.withLock { $0.running -= 1 } }
    }

    private let state = Mutex((running: 0, count: 0))
    private let process = String(UInt16.random(in: 1_296...46_655), radix: 36)

    func take(limit: Int) -> Place? {
        self.state.withLock { state in
            guard state.running < limit else { return nil }
            state.running += 1
            state.count += 1
            return Place("\(self.process)-\(state.count)", self)
        }
    }
}
