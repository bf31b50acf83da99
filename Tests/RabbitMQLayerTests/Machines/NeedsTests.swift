import ChannelLayer
import Testing

@testable import RabbitMQLayer

@Suite struct NeedsTests {
    private let start = ContinuousClock.now
    private let room = Need.group(GroupName(unchecked: "room"))

    private func holder(_ name: String) -> NeedHolder { .channel(ChannelName(unchecked: name)) }

    /// Wants the room; what the waiter hears goes into `told`.
    private func want(_ needs: inout Needs, by name: String, deadline: Int = 10, _ told: Told = Told()) -> Bool {
        let (answer, mustWake) = needs.want(
            self.room, by: self.holder(name), until: self.start + .seconds(deadline), told.waiter(name))
        if let answer { answer.waiter(answer.error) }
        return mustWake
    }

    private func tell(_ answers: [Needs.Answer]) { for (waiter, error) in answers { waiter(error) } }

    @Test func aGroupIsBoundOnceForAllWhoWantIt() {
        var needs = Needs()
        let told = Told()
        #expect(self.want(&needs, by: "a", told))
        #expect(!self.want(&needs, by: "b", told))
        #expect(needs.takeChanges() == [.add(self.room)])
        #expect(told.all == [], "nothing is there yet")
        self.tell(needs.satisfied(self.room))
        #expect(told.all == ["a ok", "b ok"])
        #expect(!self.want(&needs, by: "c", told))
        #expect(told.all.last == "c ok")
        #expect(needs.takeChanges() == [])
        #expect(needs.release(self.room, by: self.holder("a")) == false)
        #expect(needs.release(self.room, by: self.holder("b")) == false)
        #expect(needs.release(self.room, by: self.holder("c")) == true)
        #expect(needs.release(self.room, by: self.holder("c")) == false)
        #expect(needs.takeChanges() == [.remove(self.room)])
        #expect(needs.count == 0)
    }

    @Test func whoeverLeavesWhileTheBindingIsMadeIsToldAndUnbound() {
        var needs = Needs()
        let told = Told()
        _ = self.want(&needs, by: "a", told)
        #expect(needs.release(self.room, by: self.holder("a")) == false, "who waits is told first")
        self.tell(needs.satisfied(self.room))
        #expect(told.all == ["a ok"])
        #expect(needs.takeChanges() == [.add(self.room), .remove(self.room)])
    }

    @Test func aNewConnectionMakesEverythingThatIsWantedNow() {
        var needs = Needs()
        let told = Told()
        _ = self.want(&needs, by: "a", told)
        self.tell(needs.satisfied(self.room))
        needs.lost(LayerError(.unavailable, "gone"))
        _ = self.want(&needs, by: "b", told)
        #expect(told.all == ["a ok"])
        #expect(needs.connected() == [self.room])
        #expect(needs.takeChanges() == [], "all of it is in the answer")
        self.tell(needs.satisfied(self.room))
        #expect(told.all == ["a ok", "b ok"])
    }

    @Test func whoWaitsTooLongIsToldWhyAndWantsNothing() {
        var needs = Needs()
        let told = Told()
        needs.lost(LayerError(.unavailable, "no broker"))
        _ = self.want(&needs, by: "a", deadline: 5, told)
        self.tell(needs.expire(self.start + .seconds(4)))
        #expect(told.all == [])
        self.tell(needs.expire(self.start + .seconds(5)))
        #expect(told.all == ["a unavailable"])
        #expect(needs.count == 0)
        self.tell(needs.expire(self.start + .seconds(9)))
        #expect(told.all.count == 1)
    }

    @Test func aRefusalConcernsThoseWhoWait() {
        var needs = Needs()
        let told = Told()
        _ = self.want(&needs, by: "a", told)
        self.tell(needs.refused(self.room, LayerError(.unavailable, "no permission")))
        #expect(told.all == ["a unavailable"])
        #expect(needs.count == 0)
    }

    @Test func membersThatWentWithoutAWordAreForgotten() {
        var needs = Needs()
        _ = self.want(&needs, by: "a")
        _ = needs.satisfied(self.room)
        _ = needs.takeChanges()
        needs.releaseChannels(of: GroupName(unchecked: "room"))
        #expect(needs.takeChanges() == [.remove(self.room)])
    }

    @Test func theEndAnswersEverybodyAndTakesNothingNew() {
        var needs = Needs()
        let told = Told()
        _ = self.want(&needs, by: "a", told)
        self.tell(needs.close())
        _ = self.want(&needs, by: "b", told)
        #expect(told.all == ["a closed", "b closed"])
    }
}
