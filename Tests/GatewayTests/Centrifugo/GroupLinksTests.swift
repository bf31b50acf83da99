import ChannelLayer
import NIOCore
import Settings
import Testing

@testable import Gateway

@Suite struct GroupLinksTests {
    @Test(arguments: [
        ("chat-*", "chat-7", "7"), ("*-x", "a-b-x", "a-b"), ("a*b", "aXb", "X"), ("same", "same", ""),
    ]) func aPatternTakesAPartAndGivesItBack(_ text: String, _ name: String, _ part: String) throws {
        let pattern = try #require(NamePattern(text))
        let found = try #require(pattern.part(of: name))
        #expect(found == part)
        #expect(pattern.name(with: found) == name)
    }

    @Test(arguments: [("chat-*", "chat-"), ("chat-*", "news"), ("ab*ba", "aba"), ("same", "same2")])
    func otherNamesAreNone(_ text: String, _ name: String) throws {
        #expect(try #require(NamePattern(text)).part(of: name) == nil)
    }

    @Test(arguments: ["", "*", "a*b*c"]) func whatIsNoPatternIsRefused(_ text: String) {
        #expect(NamePattern(text) == nil)
    }

    private func read(_ bridge: String) -> (links: GroupLinks?, faults: String) {
        let text = """
            {"gateway": {"centrifugo": {"allow_anonymous_connect_without_token": true,
                "namespaces": [{"name": "room", "history_size": 9, "history_ttl": "1m"}, {"name": "live"}],
                "bridge": \(bridge)}}}
            """
        let reader = SettingsReader(
            path: "settings.json", text: ByteBuffer(string: text), known: [ClientConfiguration.setting])
        let configuration = ClientConfiguration(reading: reader)
        do throws(SettingsFaults) {
            try reader.finish()
            return (configuration?.groupLinks, "")
        } catch {
            return (configuration?.groupLinks, error.description)
        }
    }

    @Test func settingsAreRead() throws {
        let (read, faults) = self.read(
            #"{"groups": [{"group": "chat-*", "channel": "room:*"}], "always": ["chat-1"], "window": "2m"}"#)
        #expect(faults == "")
        let links = try #require(read)
        #expect(links.groups(of: "room:7") == [GroupName(unchecked: "chat-7")])
        #expect(links.groups(of: "room:ä") == [])
        #expect(links.allChannels(of: GroupName(unchecked: "chat-7")).map(\.text) == ["chat-7", "room:7"])
        #expect(links.always.map(\.text) == ["chat-1"])
        #expect(links.window == 120)
    }

    @Test(arguments: [
        (#"{"groups": [{"group": "chat-*", "channel": "room:x"}]}"#, "wanted a * in both names, or in none"),
        (#"{"groups": [{"group": "*", "channel": "room:*"}]}"#, "at most one *"),
        (#"{"groups": [{"group": "a"}]}"#, "channel is missing"),
        (#"{"always": ["news"]}"#, "has news, which is heard in no channel with a history"),
        (#"{"always": ["not a name"]}"#, "always"), (#"{"window": "0s"}"#, "window"),
        (#"{"every": []}"#, "is no setting"),
    ]) func whatCannotBeUsedIsAFault(_ bridge: String, _ fault: String) {
        #expect(self.read(bridge).faults.contains(fault), "\(self.read(bridge).faults)")
    }
}
