import Testing

@testable import Carillon

@Suite struct CheckTests {
    private let nginx = NginxCheck(prefix: "/channels/", pingInterval: .seconds(25), path: "site.conf")
    private let supervisor = SupervisorCheck(connectionLimit: 10_000, drainTime: .seconds(20), path: "s.conf")

    private static let good = """
        http {
            map $http_upgrade $connection_upgrade { default upgrade; '' close; }
            server {
                proxy_http_version 1.1;
                location / { proxy_pass http://app; }
                location /channels/ {
                    proxy_pass http://carillon;
                    proxy_set_header Host $http_host;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $connection_upgrade; # a "comment" with { braces
                    proxy_buffering off;
                    proxy_read_timeout 5m;
                }
            }
        }
        """

    @Test func aConfigurationThatWorksHasNoFindings() {
        #expect(self.nginx.findings(in: Self.good) == [])
    }

    @Test(arguments: [
        ("proxy_http_version 1.1;", "", 6, "proxy_http_version 1.1"),
        ("proxy_set_header Upgrade $http_upgrade;", "", 6, "Upgrade $http_upgrade"),
        ("proxy_set_header Connection $connection_upgrade;", "", 6, "Connection $connection_upgrade"),
        (
            "proxy_set_header Connection $connection_upgrade;", "proxy_set_header Connection \"upgrade\";", 6,
            "event streams"
        ),
        ("proxy_buffering off;", "", 6, "proxy_buffering off"),
        ("proxy_buffering off;", "proxy_buffering on;", 11, "proxy_buffering off"),
        ("proxy_read_timeout 5m;", "proxy_read_timeout 20s;", 12, "cut after 20s"),
        ("proxy_set_header Host $http_host;", "", 6, "Host $http_host"),
        ("proxy_pass http://carillon;", "uwsgi_pass unix:/run/app.sock;", 6, "carries no WebSocket"),
    ]) func whatIsMissingIsNamedWithItsLine(_ old: String, _ new: String, _ line: Int, _ text: String) {
        let findings = self.nginx.findings(in: Self.good.replacing(old, with: new))
        #expect(findings.count == 1)
        #expect(findings.first?.line == line)
        #expect(findings.first?.text.contains(text) == true)
    }

    @Test func headersOfAnInnerLevelReplaceAllOfTheOuterOnes() {
        let text = """
            server {
                proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h;
                proxy_set_header Host $host;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $connection_upgrade;
                location /channels/ { proxy_pass http://carillon; proxy_set_header X-Real-IP $remote_addr; }
            }
            """
        #expect(self.nginx.findings(in: text).count == 3)
    }

    @Test(arguments: [
        "http { server {", "}", "server { location / {", "'", "a {" + String(repeating: "b {", count: 100),
    ])
    func aBrokenFileIsAFindingAndNoTrap(_ text: String) {
        #expect(!self.nginx.findings(in: text).isEmpty)
    }

    @Test func anEntryThatWorksHasNoFindings() {
        let text = """
            [supervisord]
            minfds=131072 ; enough
            [program:carillon-gateway]
            command=/usr/local/bin/carillon gateway
            user=carillon
            stopwaitsecs=30
            [eventlistener:agent]
            command=carillon agent
            buffer_size=1000
            """
        #expect(self.supervisor.findings(in: text) == [])
    }

    @Test func everyMistakeOfAnEntryIsNamedWithItsLine() {
        let text = """
            [supervisord]
            minfds=1024
            [program:carillon-gateway]
            command=/usr/local/bin/carillon gateway
            user=carillon
            stopsignal=KILL
            [fcgi-program:worker]
            command=carillon worker --fd 0
            user=carillon
            stopwaitsecs=60
            [group:all]
            programs=carillon-gateway, worker
            [program:agent]
            command=carillon agent
            """
        let findings = self.supervisor.findings(in: text)
        #expect(findings.map(\.line) == [2, 3, 6, 13, 13, 12])
    }

    @Test(arguments: [
        ("proxy_set_header Host $http_host;", "proxy_set_header Host $proxy_host;", 6, "which host"),
        ("server {", "server { listen 8080;", nil, nil),
        ("proxy_set_header Host $http_host;", "proxy_set_header Host $host;", nil, nil),
        ("server {", "server { server_name example.org _ *.example.com;", nil, nil),
    ]) func theHostMustReachTheGateway(_ old: String, _ new: String, _ line: Int?, _ text: String?) {
        let findings = self.nginx.findings(in: Self.good.replacing(old, with: new))
        #expect(findings.map(\.line) == (line.map { [$0] } ?? []))
        #expect(text.map { findings.first?.text.contains($0) == true } ?? true)
    }

    @Test func aHostWithoutItsPortIsNotTheOneOfThePage() {
        let text = Self.good.replacing("$http_host", with: "$host")
            .replacing("server {", with: "server { listen [::]:8443 ssl;")
        #expect(self.nginx.findings(in: text).map(\.line) == [6])
    }

    @Test func aSiteWhosePagesWouldBeRefusedIsNamed() {
        let nginx = NginxCheck(
            prefix: "/channels/", pingInterval: .seconds(25),
            allowedOrigins: ["https://example.org:8443", ".example.net", "example.com"], path: "site.conf")
        let text = Self.good.replacing(
            "server {", with: "server { server_name _ example.org a.example.net EXAMPLE.com www.example.com *.x.org;")
        let findings = nginx.findings(in: text)
        #expect(findings.count == 1)
        #expect(findings.first?.text.contains("www.example.com") == true)
        #expect(findings.first?.line == 3)
    }

    @Test func entriesAndSettingsMustNameTheSameSockets() {
        let check = SupervisorCheck(
            connectionLimit: 100, drainTime: .seconds(20), gatewaySockets: ["/run/g-0.sock", "/run/g-1.sock"],
            workerSockets: ["/run/w.sock"], path: "s.conf")
        func text(gateways: Int, socket: String, owner: String) -> String {
            """
            [program:gateway]
            command=carillon gateway --unix-socket /run/g-%(process_num)d.sock --log-level info
            user=carillon
            numprocs=\(gateways)
            stopwaitsecs=30
            [fcgi-program:worker]
            socket=unix://\(socket)
            command=carillon worker --fd 0
            user=carillon
            stopwaitsecs=30
            \(owner)
            """
        }
        let owner = "socket_owner=carillon:carillon"
        #expect(check.findings(in: text(gateways: 2, socket: "/run/w.sock", owner: owner)) == [])
        #expect(check.findings(in: text(gateways: 3, socket: "/run/w.sock", owner: owner)).map(\.line) == [2])
        #expect(check.findings(in: text(gateways: 1, socket: "/run/w.sock", owner: owner)).map(\.line) == [1])
        #expect(check.findings(in: text(gateways: 2, socket: "/run/x.sock", owner: "")).map(\.line) == [7, 7])
    }

    @Test func gatewaysThatWouldTakeEachOthersBrowsersAreNamed() {
        func findings(_ settings: String?, _ flag: String, gateways: Int = 2, seconds: Int = 45) -> [Finding] {
            let check = SupervisorCheck(
                connectionLimit: 100, drainTime: .seconds(10), takeover: settings, gatewayDrainTime: .seconds(10),
                path: "s.conf")
            return check.findings(
                in: """
                    [program:gateway]
                    command=carillon gateway \(flag)
                    user=carillon
                    numprocs=\(gateways)
                    stopwaitsecs=\(seconds)
                    """)
        }
        let each = "--set gateway.takeover=/run/g-%(process_num)d"
        #expect(findings(nil, each) == [])
        #expect(findings("/run/g", each) == [])
        #expect(findings("/run/g", "", gateways: 1) == [])
        #expect(findings("/run/g", "").map(\.line) == [2])
        #expect(findings(nil, "--set gateway.takeover=/run/g").map(\.line) == [2])
        // The time for the bridge to begin, and for those who cannot be passed on.
        #expect(findings(nil, each, seconds: 20).map(\.line) == [5])
    }

    @Test func whatWouldRunAsRootIsNamed() {
        let entry = "[program:router]\ncommand=carillon router\nstopwaitsecs=30\n"
        #expect(self.supervisor.findings(in: entry).map(\.line) == [1])
        #expect(self.supervisor.findings(in: "[supervisord]\nminfds=20000\nuser=carillon\n" + entry) == [])
    }
}
