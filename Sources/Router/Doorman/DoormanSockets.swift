import CDescriptors
import Glibc
import Settings

/// The descriptors a doorman works with. A plain value: whoever has it last calls `closeAll`, once.
struct DoormanSockets: Sendable {
    let epoll: CInt
    /// The eventfd that wakes the thread.
    let wakeup: CInt
    let listeners: [ListeningSocket]
    /// Where other routers ask for `listeners`; -1 for nowhere.
    let takeover: CInt

    /// Opens all of them, or none.
    ///
    /// - Parameters:
    ///   - inherited: sockets of another router, which are taken first.
    ///   - takeover: owned from now on.
    init(
        plain: [ListenAddress], secure: [ListenAddress], file: SocketFile, inherited: inout InheritedSockets,
        takeover: CInt = -1
    ) throws(ListenError) {
        var listeners: [ListeningSocket] = []
        do throws(ListenError) {
            for (addresses, isSecure) in [(plain, false), (secure, true)] {
                for address in addresses {
                    for var socket in try ListeningSocket.open(address, file: file, inherited: &inherited) {
                        socket.isSecure = isSecure
                        if takeover >= 0 { socket.leaveFile() }
                        listeners.append(socket)
                    }
                }
            }
        } catch {
            listeners.forEach { $0.close() }
            if takeover >= 0 { _ = Glibc.close(takeover) }
            throw error
        }
        self.listeners = listeners
        self.takeover = takeover
        (self.epoll, self.wakeup) = (cdescriptors_epoll_create(), cdescriptors_eventfd())
        guard self.epoll >= 0, self.wakeup >= 0 else {
            let problem = ListeningSocket.errorText(errno)
            self.closeAll()
            throw self.failure(problem)
        }
    }

    /// Where visitors come from no more; files of sockets that are nobody else's are removed.
    func closeListeners() {
        self.listeners.forEach { $0.close() }
        if self.takeover >= 0 { _ = Glibc.close(self.takeover) }
    }

    /// Everything else, after `closeListeners`.
    func closeRest() {
        for descriptor in [self.epoll, self.wakeup] where descriptor >= 0 { _ = Glibc.close(descriptor) }
    }

    func closeAll() {
        self.closeListeners()
        self.closeRest()
    }

    /// What another router gets.
    var shared: [CInt] {
        self.listeners.filter(\.isOfAnAddress).map(\.descriptor) + (self.takeover >= 0 ? [self.takeover] : [])
    }

    func failure(_ problem: String) -> ListenError {
        ListenError(address: self.listeners.first?.address.description ?? "-", problem: problem)
    }
}
