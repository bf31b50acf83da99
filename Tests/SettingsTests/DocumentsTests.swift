import Foundation
import NIOCore
import Settings
import Testing

@testable import Carillon

/// The files beside the code that people begin with.
@Suite struct DocumentsTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    }

    @Test func thePageOfSettingsIsMadeFromTheDeclarations() throws {
        let page = SettingsPage.markdown(SettingsCatalog.sections) + "\n"
        let matches = try self.text("docs/settings.md") == page
        #expect(matches, "docs/settings.md is out of date; make it anew with: make docs")
    }

    /// A page that names a file which has moved sends its reader astray.
    @Test func whatThePagesNameIsThere() throws {
        let pages =
            try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "docs").path())
            .filter { $0.hasSuffix(".md") }.map { "docs/\($0)" } + ["README.md"]
        #expect(pages.contains("docs/design.md"))
        for page in pages {
            let text = try self.text(page)
            // `Sources/Gateway/Hub/Hub.swift` from the root, and [links](../Sources/Gateway) from the page's folder.
            let named = text.matches(
                of: /`((?:Sources|Tests|Benchmarks|scripts|docs|examples|nginx)\/[A-Za-z0-9_+.\/-]+)`/
            )
            .map { String($0.output.1) }
            let folder = page.split(separator: "/").dropLast().joined(separator: "/")
            let linked = text.matches(of: /\]\(([A-Za-z0-9_+.\/-]+)(?:#[^)]*)?\)/)
                .map { folder.isEmpty ? String($0.output.1) : "\(folder)/\($0.output.1)" }
            for path in named + linked {
                let exists = FileManager.default.fileExists(atPath: Self.root.appending(path: path).standardized.path())
                #expect(exists, "\(page) names \(path)")
            }
        }
    }

    @Test(arguments: ["settings.example.json", "examples/catmaid.json"])
    func theExamplesCanBeUsed(path: String) throws {
        let environment = ["CARILLON_API_KEY": "key", "CARILLON_JWT_SECRET": String(repeating: "s", count: 32)]
        let reader = SettingsReader(
            path: path, text: ByteBuffer(string: try self.text(path)), environment: environment,
            known: SettingsCatalog.all)
        let configuration = try WholeConfiguration(reading: reader)
        #expect(!configuration.gateway.routes.isEmpty)
    }

    @Test func namesAreUniqueAndEverySettingHasAHelp() {
        let names = SettingsCatalog.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(SettingsCatalog.all.map(\.environmentName)).count == names.count)
        for setting in SettingsCatalog.all {
            #expect(setting.help.hasSuffix(".") && !setting.help.contains("  "), "\(setting.name)")
            #expect(!names.contains { $0.hasPrefix("\(setting.name).") }, "\(setting.name) has others below it")
        }
    }

    @Test func everyDefaultIsAValueOfItsKind() {
        let reader = SettingsReader(known: SettingsCatalog.all)
        for setting in SettingsCatalog.all where !(setting is StructuredSetting) {
            // Given back as a file would have it, the default is read without a fault.
            let keys = setting.name.split(separator: ".")
            let file =
                keys.map { "{\"\($0)\": " }.joined() + SettingsText.json(setting.defaultJSON)
                + String(repeating: "}", count: keys.count)
            let again = SettingsReader(path: "f", text: ByteBuffer(string: file), known: SettingsCatalog.all)
            #expect(setting.reading(by: again).value == setting.reading(by: reader).value, "\(setting.name)")
            #expect(again.faults.isEmpty, "\(setting.name)")
        }
    }

    @Test func theDeploymentsCommandsCanBeParsed() throws {
        for path in ["supervisor/carillon.conf", "supervisor/serve.conf"] {
            let commands = try self.text(path).split(separator: "\n").filter { $0.hasPrefix("command=") }
            #expect(!commands.isEmpty)
            for command in commands {
                let words = command.split(separator: " ").dropFirst().map {
                    $0.replacing("%(process_num)d", with: "0").description
                }
                _ = try Carillon.parseAsRoot(words)
            }
        }
    }
}
