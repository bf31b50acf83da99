import Glibc
import NIOCore

/// Why an address cannot be listened on, for the person who chose it.
enum ListenProblem {
    static func text(of error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        switch error.errnoCode {
        case EADDRINUSE:
            return "another process listens there; stop it or choose another address (\"ss -lntp\" shows who)"
        case EACCES, EPERM: return "not allowed to listen there; choose a port above 1023, or a folder you may write to"
        case EADDRNOTAVAIL: return "this host has no such address"
        case ENOENT: return "the folder does not exist; make it, with write permission for this user"
        default: return String(cString: strerror(error.errnoCode))
        }
    }
}

/// Ends the process without any clean-up.
func immediateExit(_ status: Int32) -> Never { _exit(status) }
