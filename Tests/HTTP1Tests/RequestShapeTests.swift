import HTTP1
import NIOCore
import Testing
import TestSupport

@Suite struct RequestShapeTests {
    @Test func thereAreShapesOfEveryKind() {
        #expect(RequestShape.refused.count >= 120)
        #expect(Set(RequestShape.all.map(\.name)).count == RequestShape.all.count)
    }

    @Test(arguments: RequestShape.all)
    func everyShapeGetsItsStatus(_ shape: RequestShape) {
        let reading = Reading(shape.bytes)
        #expect(reading.status == shape.status, "\(reading)")
        if shape.status == nil {
            #expect(reading.requests.allSatisfy(\.isComplete) && !reading.requests.isEmpty)
            #expect(reading.rest.isEmpty)
        }
    }

    /// Nobody gets past by sending byte for byte, or by stopping at the right place.
    @Test(arguments: RequestShape.all)
    func howeverTheBytesAreCutTheSameComesOut(_ shape: RequestShape) {
        let whole = Reading(shape.bytes)
        #expect(Reading(shape.bytes.map { [$0] }).isSame(as: whole))
        // Long ones are long by repetition of one byte: their ends are what matters.
        let places =
            shape.bytes.count < 600
            ? Array(shape.bytes.indices) : Array(0..<200) + (shape.bytes.count - 200..<shape.bytes.count)
        for place in places {
            let pieces = [Array(shape.bytes[..<place]), Array(shape.bytes[place...])]
            let cut = Reading(pieces)
            guard !cut.isSame(as: whole) else { continue }
            Issue.record("cut at \(place): \(cut) instead of \(whole)")
            break
        }
    }

    @Test(arguments: RequestShape.taken.filter { $0.bytes.count < 120 })
    func cutInThreeTheSameComesOut(_ shape: RequestShape) {
        let whole = Reading(shape.bytes)
        for first in shape.bytes.indices {
            for second in stride(from: first, to: shape.bytes.count, by: 3) {
                let pieces = [shape.bytes[..<first], shape.bytes[first..<second], shape.bytes[second...]].map {
                    Array($0)
                }
                guard Reading(pieces) != whole else { continue }
                Issue.record("cut at \(first) and \(second)")
                return
            }
        }
    }
}

extension Reading {
    /// After a refusal nobody looks at the bytes that are left.
    func isSame(as other: Reading) -> Bool {
        self.requests == other.requests && self.status == other.status && self.code == other.code
            && (self.status != nil || self.rest == other.rest)
    }
}
