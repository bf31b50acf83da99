import ChannelLayer
import TestSupport
import Testing

@Suite struct CapacityPatternTests {
    struct Measured: Decodable {
        struct Pattern: Decodable {
            let pattern: String
            let matches: [String]
            let does_not_match: [String]
        }
        let patterns: [Pattern]
    }
    struct Globs: Decodable {
        struct Pattern: Decodable {
            let pattern: String
            let matches: [String]
        }
        let names: [String]
        let patterns: [Pattern]
    }

    @Test func patternsMatchWhatChannelsMatches() {
        for vector in vectors(Measured.self, "capacity-patterns.json").patterns {
            let pattern = CapacityPattern(vector.pattern)
            for name in vector.matches { #expect(pattern.matches(name), "\(vector.pattern) \(name)") }
            for name in vector.does_not_match { #expect(!pattern.matches(name), "\(vector.pattern) \(name)") }
        }
    }

    @Test func patternsMatchWhatFnmatchMatches() {
        let globs = vectors(Globs.self, "globs.json")
        for vector in globs.patterns {
            let pattern = CapacityPattern(vector.pattern)
            #expect(globs.names.filter(pattern.matches) == vector.matches, "\(vector.pattern)")
        }
    }

    @Test(.timeLimit(.minutes(1))) func manyStarsStayCheap() {
        let pattern = CapacityPattern(String(repeating: "*a", count: 200) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 2_000)))
    }

    @Test func theFirstMatchCounts() throws {
        var configuration = LayerConfiguration()
        configuration.channelCapacity = [(CapacityPattern("http.*"), 5), (CapacityPattern("http.response!*"), 7)]
        #expect(configuration.capacity(of: try ChannelName("http.response!abc")) == 5)
        #expect(configuration.capacity(of: try ChannelName("chat")) == 100)
    }
}
