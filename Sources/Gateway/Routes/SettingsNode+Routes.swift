import Settings

extension SettingsNode {
    /// The text under `key` as a value of our own; `nil`, and a fault, when `make` throws. `nil` alone when the key is
    /// missing.
    func optional<Value: Sendable>(
        _ key: String, wanted: String, _ make: @escaping @Sendable (String) throws -> Value
    ) -> Value? {
        self.optional(key, SettingKind<String>.string(wanted).converted(make, back: { _ in "" }))
    }

    /// The texts in the list under `key` as values of our own, without those that `make` throws for, which are faults.
    func values<Value: Sendable>(
        _ key: String, limit: Int, wanted: String, _ make: @escaping @Sendable (String) throws -> Value
    ) -> [Value] {
        let kind = SettingKind<String>.string(wanted).converted(make, back: { _ in "" })
        return self.elements(key, limit: limit).compactMap { $0.read(kind) }
    }

    /// Which of `choices` this object has, which must be exactly one.
    ///
    /// - Returns: `nil`, and a fault, for none or several.
    func choice(_ choices: [String]) -> String? {
        let found = choices.filter { self.value[$0] != nil }
        if found.count == 1 { return found[0] }
        guard self.isObject else { return nil }
        let names = choices.map { "\"\($0)\"" }.joined(separator: ", ")
        self.note(
            found.isEmpty
                ? "says nothing, wanted one of \(names)"
                : "says \(found.map { "\"\($0)\"" }.joined(separator: " and ")), wanted only one of \(names)")
        return nil
    }

    /// Says that `key`, if it is there, has no effect.
    func refuse(_ key: String, _ note: String) {
        self.child(key)?.fault(note)
    }
}
