import Supervision
import Testing

@Suite struct SerialLedgerTests {
    private func header(_ serial: Int, pool: Int) throws -> EventHeader {
        var dialogue = ListenerDialogue()
        dialogue.receive(.init(string: "serial:\(serial) poolserial:\(pool) eventname:TICK_5 len:0\n"))
        return try #require(try dialogue.next()).header
    }

    @Test func anEventThatCameBeforeIsRepeated() throws {
        var ledger = SerialLedger()
        #expect(ledger.judge(try self.header(5, pool: 0)) == .new)
        #expect(ledger.judge(try self.header(5, pool: 0)) == .repeated)
        #expect(ledger.judge(try self.header(6, pool: 1)) == .new)
        #expect(ledger.judge(try self.header(5, pool: 0)) == .repeated)
    }

    @Test func aStepInThePoolsCountIsALoss() throws {
        var ledger = SerialLedger()
        #expect(ledger.judge(try self.header(0, pool: 0)) == .new)
        #expect(ledger.judge(try self.header(9, pool: 4)) == .newAfterLoss(3))
        #expect(ledger.judge(try self.header(10, pool: 5)) == .new)
    }

    @Test func eventsThatNeverReachedThisPoolAreNoLoss() throws {
        var ledger = SerialLedger()
        #expect(ledger.judge(try self.header(0, pool: 0)) == .new)
        #expect(ledger.judge(try self.header(50, pool: 1)) == .new)
    }

    @Test func anEventThatIsPutBackOutOfOrderIsNew() throws {
        var ledger = SerialLedger()
        #expect(ledger.judge(try self.header(3, pool: 1)) == .new)
        #expect(ledger.judge(try self.header(2, pool: 0)) == .new)
        #expect(ledger.judge(try self.header(4, pool: 2)) == .new)
    }
}
