import ArgumentParser
import Glibc

/// Where the program begins, and where every error ends: as one line on standard error and an exit status. None may reach
/// the runtime, which would print a backtrace and take seconds over it.
@main
enum Program {
    static func main() async {
        do {
            var command = try Carillon.parseAsRoot()
            do {
                if var command = command as? any AsyncParsableCommand {
                    try await command.run()
                } else {
                    try command.run()
                }
            } catch let error as any ProgramError {
                Output.error("carillon: \(error)")
                exit(error.status)
            } catch  where Self.isOurs(command) && !Self.isOfTheParser(error) {
                Output.error("carillon: \(error)")
                exit(1)
            }
        } catch {
            Carillon.exit(withError: error)
        }
        exit(0)
    }

    /// Whether a command is one of those we wrote: the parser's own throw help as an error.
    private static func isOurs(_ command: any ParsableCommand) -> Bool {
        Carillon.configuration.subcommands.contains { $0 == type(of: command) }
    }

    /// Version and wrong usage: the parser knows how to put them.
    private static func isOfTheParser(_ error: any Error) -> Bool {
        error is CleanExit || error is ExitCode || error is ValidationError
    }
}

/// An error of the program's own: what its description says is all a person gets to see.
protocol ProgramError: Error, CustomStringConvertible {
    /// What the process ends with.
    var status: Int32 { get }
}

/// Something that did not work, in one line: what happened, and what next.
struct Failure: ProgramError {
    let description: String
    let status: Int32

    /// - Parameter status: 1 unless scripts must tell this failure from others.
    init(_ description: String, status: Int32 = 1) {
        self.description = description
        self.status = status
    }
}
