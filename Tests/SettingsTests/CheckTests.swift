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
            stopsignal=KILL
            [fcgi-program:worker]
            command=carillon worker --fd 0
            stopwaitsecs=60
            [group:all]
            programs=carillon-gateway, worker
            [program:agent]
            command=carillon agent
            """
        let findings = self.supervisor.findings(in: text)
        #expect(findings.map(\.line) == [2, 3, 5, 11, 11, 10])
    }
}
