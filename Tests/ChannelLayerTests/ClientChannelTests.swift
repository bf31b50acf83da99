import ChannelLayer
import Testing

@Suite struct ClientChannelTests {
    @Test(arguments: [
        ("news", "news"), ("chat-7.x_y", "chat-7.x_y"), ("chat:7", "carillon.channel.chat_3A7"),
        ("#42", "carillon.channel._2342"), ("$a_b:c", "carillon.channel._24a_5Fb_3Ac"),
        ("dialog#12,57", "carillon.channel.dialog_2312_2C57"), ("~!", "carillon.channel._7E_21"),
    ]) func aChannelIsOneGroupAndTheGroupIsThatChannel(channel: String, group: String) throws {
        let made = try ClientChannel(channel)
        #expect(made.group.text == group)
        #expect(ClientChannel(of: made.group).text == channel)
    }

    /// Who may follow a plain name must not reach another channel's group by its escaped name.
    @Test(arguments: [
        "", "a b", "caf\u{E9}", "a\nb", "a\u{0}", "carillon.channel.chat_3A7", "carillon.channel.",
        String(repeating: "x", count: 100), String(repeating: ":", count: 40), String(repeating: "x", count: 256),
    ]) func whatCannotBeAGroupIsNoChannel(channel: String) {
        #expect(throws: LayerError.self) { _ = try ClientChannel(channel) }
    }
}
