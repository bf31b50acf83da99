import ChannelLayer
import Synchronization
import Testing

extension LayerClaim {
    static let feeds: [LayerClaim] = [
        LayerClaim("a feed hears every message of a followed group, in order") { layer, _ in
            let group = try GroupName("followed")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            for number in 0..<100 { try await layer.send(numbered(number), toGroup: group) }
            let arrivals = await heard.arrivals(100)
            #expect(arrivals.map(\.message.number) == Array(0..<100))
            #expect(arrivals.allSatisfy { $0.group == group })
            #expect(heard.interruptions.isEmpty)
            feed.close()
        },
        LayerClaim("many senders, each in order, nothing twice") { layer, _ in
            let group = try GroupName("busy")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for sender in 0..<4 {
                    tasks.addTask {
                        for number in 0..<100 { try await layer.send(numbered(number, from: sender), toGroup: group) }
                    }
                }
                try await tasks.waitForAll()
            }
            let arrivals = await heard.arrivals(400)
            for sender in 0..<4 {
                let numbers = arrivals.filter { $0.message.sender == sender }.map(\.message.number)
                #expect(numbers == Array(0..<100))
            }
            #expect(arrivals.count == 400)
            feed.close()
        },
        LayerClaim("submitted messages reach a feed in the order of the calls") { layer, _ in
            let group = try GroupName("submitted")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            for number in 0..<200 { layer.submit(numbered(number), toGroup: group, completion: nil) }
            #expect(await heard.arrivals(200).map(\.message.number) == Array(0..<200))
            feed.close()
        },
        LayerClaim("a group that is followed twice is heard once") { layer, _ in
            let group = try GroupName("twice")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            for _ in 0..<2 { try await layer.follow(group, by: feed) }
            for number in 0..<3 { try await layer.send(numbered(number), toGroup: group) }
            #expect(await heard.arrivals(3).map(\.message.number) == [0, 1, 2])
            feed.unfollow(group)
            try await layer.follow(group, by: feed)
            try await layer.send(numbered(3), toGroup: group)
            #expect(await heard.arrivals(4).map(\.message.number) == [0, 1, 2, 3], "one unfollow ends both")
            feed.close()
        },
        LayerClaim("what is not followed, or no more, is not heard") { layer, _ in
            let followed = try GroupName("heard")
            let left = try GroupName("left")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            for group in [followed, left] { try await layer.follow(group, by: feed) }
            try await layer.send(numbered(0), toGroup: left)
            await heard.arrivals(1)
            feed.unfollow(left)
            feed.unfollow(left)
            feed.unfollow(try GroupName("never"))
            // A followed group once more: when it answers, whatever the broker had to unlearn is unlearned.
            try await layer.follow(try GroupName("marker"), by: feed)
            try await layer.send(numbered(1), toGroup: left)
            try await layer.send(numbered(2), toGroup: try GroupName("never"))
            try await layer.send(numbered(3), toGroup: followed)
            #expect(await heard.arrivals(2).map(\.message.number) == [0, 3])
            feed.close()
        },
        LayerClaim("feeds and channels of one group all hear it") { layer, _ in
            let group = try GroupName("mixed")
            let channel = try await layer.newChannel(prefix: "specific")
            try await layer.groupAdd(group, channel)
            let heard = [FeedRecorder(), FeedRecorder()]
            let feeds = heard.map { layer.openFeed($0) }
            for feed in feeds { try await layer.follow(group, by: feed) }
            for number in 0..<3 { try await layer.send(numbered(number), toGroup: group) }
            for recorder in heard { #expect(await recorder.arrivals(3).map(\.message.number) == [0, 1, 2]) }
            #expect(try await layer.receiveNumbers(3, from: channel) == [0, 1, 2])
            for feed in feeds { feed.close() }
        },
        LayerClaim("a closed feed hears nothing and follows nothing") { layer, _ in
            let group = try GroupName("closing")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            let witness = FeedRecorder()
            let other = layer.openFeed(witness)
            for feed in [feed, other] { try await layer.follow(group, by: feed) }
            try await layer.send(numbered(0), toGroup: group)
            await heard.arrivals(1)
            feed.close()
            feed.close()
            try await layer.send(numbered(1), toGroup: group)
            #expect(await witness.arrivals(2).count == 2)
            #expect(heard.arrivals.count == 1)
            let error = await layerError { () throws(LayerError) in
                do { try await layer.follow(group, by: feed) } catch let error as LayerError { throw error } catch {}
            }
            #expect(error?.code == .closed)
            feed.unfollow(group)
            other.close()
        },
        LayerClaim("no call begins after a feed was closed") { layer, _ in
            let group = try GroupName("racing")
            for _ in 0..<20 {
                let heard = FeedRecorder()
                let feed = layer.openFeed(heard)
                try await layer.follow(group, by: feed)
                let sender = Task {
                    for number in 0..<200 { layer.submit(numbered(number), toGroup: group, completion: nil) }
                }
                await heard.arrivals(1)
                feed.close()
                let count = heard.arrivals.count
                await sender.value
                #expect(heard.arrivals.count == count)
            }
        },
        LayerClaim("feeds of a closed layer follow nothing") { layer, _ in
            let group = try GroupName("over")
            let feed = layer.openFeed(FeedRecorder())
            await layer.close()
            let late = layer.openFeed(FeedRecorder())
            for feed in [feed, late] {
                let code = await withCheckedContinuation { continuation in
                    feed.follow(group) { continuation.resume(returning: $0?.code) }
                }
                #expect(code == .closed)
                feed.close()
            }
        },
    ]

    static let processes: [LayerClaim] = [
        LayerClaim("a channel is read where it was made", needs: [.processes]) { here, broker in
            let there = try await broker.connect()
            let channel = try await there.newChannel(prefix: "specific")
            #expect(try await here.newChannel(prefix: "specific").nonLocalPart != channel.nonLocalPart)
            async let received = there.receiveNumbers(50, from: channel)
            for number in 0..<50 { try await here.send(numbered(number), to: channel) }
            #expect(try await received == Array(0..<50))
            await there.close()
        },
        LayerClaim("a group spans processes", needs: [.processes]) { here, broker in
            let there = try await broker.connect()
            let group = try GroupName("spanning")
            let heard = [FeedRecorder(), FeedRecorder()]
            let feeds = [here.openFeed(heard[0]), there.openFeed(heard[1])]
            try await here.follow(group, by: feeds[0])
            try await there.follow(group, by: feeds[1])
            let channel = try await there.newChannel(prefix: "specific")
            try await there.groupAdd(group, channel)
            for number in 0..<50 { try await here.send(numbered(number), toGroup: group) }
            for recorder in heard { #expect(await recorder.arrivals(50).map(\.message.number) == Array(0..<50)) }
            #expect(try await there.receiveNumbers(50, from: channel) == Array(0..<50))
            for feed in feeds { feed.close() }
            await there.close()
        },
        LayerClaim("a process that leaves takes only itself along", needs: [.processes]) { here, broker in
            let there = try await broker.connect()
            let group = try GroupName("leaving")
            let heard = FeedRecorder()
            let feed = here.openFeed(heard)
            try await here.follow(group, by: feed)
            try await there.follow(group, by: there.openFeed(FeedRecorder()))
            await there.close()
            try await here.send(numbered(1), toGroup: group)
            #expect(await heard.arrivals(1).map(\.message.number) == [1])
            feed.close()
        },
    ]
}
