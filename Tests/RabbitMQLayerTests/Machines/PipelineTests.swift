import Testing

@testable import RabbitMQLayer

@Suite struct PipelineTests {
    /// What is said until an answer is needed.
    private func said(_ pipeline: inout RequestPipeline<String>) -> [String] {
        var said: [String] = []
        while let step = pipeline.next() {
            switch step {
            case .open: said.append("open")
            case .request(let request): said.append(request)
            }
        }
        return said
    }

    @Test func theChannelIsOpenedFirst() {
        var pipeline = RequestPipeline<String>()
        #expect(self.said(&pipeline) == [], "nothing asked, nothing said")
        pipeline.ask("a")
        pipeline.ask("b")
        #expect(self.said(&pipeline) == ["open"])
        #expect(pipeline.replied() == nil)
        #expect(self.said(&pipeline) == ["a", "b"])
        #expect(pipeline.replied() == "a")
        #expect(!pipeline.isIdle)
        #expect(pipeline.replied() == "b")
        #expect(pipeline.isIdle)
    }

    @Test func aRefusalConcernsTheOldestQuestionAndTheRestIsAskedAgain() {
        var pipeline = RequestPipeline<String>()
        for request in ["a", "b", "c"] { pipeline.ask(request) }
        _ = self.said(&pipeline)
        _ = pipeline.replied()
        _ = self.said(&pipeline)
        #expect(pipeline.replied() == "a")
        pipeline.ask("d")
        #expect(pipeline.refused() == "b")
        #expect(self.said(&pipeline) == ["open"])
        _ = pipeline.replied()
        #expect(self.said(&pipeline) == ["c", "d"])
    }

    @Test func onlySoManyQuestionsAreOpen() {
        var pipeline = RequestPipeline<String>(limit: 2)
        for request in ["a", "b", "c"] { pipeline.ask(request) }
        _ = self.said(&pipeline)
        _ = pipeline.replied()
        #expect(self.said(&pipeline) == ["a", "b"])
        #expect(pipeline.replied() == "a")
        #expect(self.said(&pipeline) == ["c"])
    }

    @Test func anAnswerToNothingIsNothing() {
        var pipeline = RequestPipeline<String>()
        #expect(pipeline.replied() == nil)
        #expect(pipeline.refused() == nil)
    }
}
