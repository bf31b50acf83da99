import JSON
import NIOCore

/// Several questions as one request, and the answers to them.
///
///     {"questions":[{"event":"subscribe","headers":{"Cookie":"sessionid=abc"},"request":{"user":"42","channel":"a",…}},…]}
///     {"answers":[{"result":{}},{"error":{"code":403,"message":"forbidden"}},…]}
///
/// The answers stand in the order of the questions, each as the answer to its question alone would be, and may say
/// `"max_age"`: seconds for which the same question has the same answer.
enum ProxyBatch {
    static func body(of questions: [ProxyQuestion]) -> ByteBuffer {
        var json = ByteBuffer(string: #"{"questions":["#)
        for (index, question) in questions.enumerated() {
            json.writeString(index > 0 ? #",{"event":"# : #"{"event":"#)
            json.writeJSONString(question.event.rawValue)
            json.writeStaticString(#","headers":{"#)
            for (index, field) in question.fields.enumerated() {
                if index > 0 { json.writeStaticString(",") }
                json.writeJSONString(field.name)
                json.writeStaticString(":")
                json.writeJSONString(field.value)
            }
            json.writeStaticString(#"},"request":"#)
            json.writeImmutableBuffer(question.body)
            json.writeStaticString("}")
        }
        json.writeStaticString("]}")
        return json
    }

    /// - Returns: as many answers as there are questions; all of them failed when the application's are another number.
    static func answers(in body: ByteBuffer, to count: Int) -> [(answer: ProxyAnswer, maxAge: Int)] {
        guard let fields = try? JSONFields(body, wanted: ["answers"]), let answers = try? fields.elements("answers"),
            answers.count == count
        else { return Array(repeating: (.failed(.unreadable), 0), count: count) }
        return answers.map { answer in
            let maxAge = (try? JSONFields(answer.bytes, wanted: ["max_age"]).integer("max_age", Int.self)) ?? 0
            return (ProxyAnswer(reading: answer.bytes), maxAge)
        }
    }
}
