import Testing

@testable import RedisLayer

@Suite struct RedisShardingTests {
    struct Measured: Decodable {
        struct Name: Decodable {
            let name: String
            let crc32: UInt32
            let shard: [String: Int]
        }
        let names: [Name]
    }

    @Test func namesLieWhereChannelsPutsThem() throws {
        let measured = try vectors(Measured.self, "sharding.json").names
        #expect(!measured.isEmpty)
        for vector in measured {
            #expect(RedisSharding.crc32(vector.name.utf8) == vector.crc32, "\(vector.name)")
            for (hosts, shard) in vector.shard {
                let hosts = try #require(Int(hosts))
                #expect(RedisSharding.shard(of: vector.name, hosts: hosts) == shard, "\(vector.name) of \(hosts)")
            }
        }
    }

    @Test func everyNameHasAShard() {
        for hosts in [1, 2, 3, 7, 4_096, 100_000] {
            for number in 0..<200 {
                #expect((0..<hosts).contains(RedisSharding.shard(of: "name-\(number)", hosts: hosts)))
            }
        }
    }
}
