import Basics
import Testing

@testable import Remotes

@Suite struct RemoteTextTests {
    @Test func readsTheXMLOfStores() throws {
        let text = """
            \u{FEFF}<?xml version="1.0" encoding="UTF-8"?>
            <!-- hello --><s3:Result xmlns:s3="http://x/?a>b" b='/'>
              <Key a="1">a&amp;b&#x2F;&#99;<![CDATA[<d>]]></Key><Empty/><Empty2 />
              <List><Item>1</Item><Item>2</Item></List>
            </s3:Result>
            """
        let root = try #require(XMLElement(parsing: Array(text.utf8)))
        #expect(root.name == "Result")
        #expect(root["Key"] == "a&b/c<d>")
        #expect(root["Empty"] == "")
        #expect(root["Empty2"] == "")
        #expect(root.all("List").first?.all("Item").map(\.text) == ["1", "2"])
    }

    @Test(arguments: [
        "", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "<a>&#x110000;</a>", "<a", "<!DOCTYPE a><a/>",
        "<a><!-- </a>", "<a>&amp</a>", "<a b=\"</a>", "<?xml", String(repeating: "<a>", count: 100_000),
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
    ])
    func refusesOtherXML(_ text: String) { #expect(XMLElement(parsing: Array(text.utf8)) == nil) }

    @Test func readsDatesOfHTTP() {
        #expect(httpDate("Sun, 06 Nov 1994 08:49:37 GMT")?.description == "1994-11-06T08:49:37.000Z")
        for text in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "06 Nov 1994"] {
            #expect(httpDate(text) == nil)
        }
    }

    @Test func pausesLongerEachTimeAndAsLongAsAsked() {
        let policy = RetryPolicy()
        #expect(policy.pause(after: 1, retryAfter: nil, using: 1) == .milliseconds(100))
        #expect(policy.pause(after: 4, retryAfter: nil, using: 0.5) == .milliseconds(400))
        #expect(policy.pause(after: 60, retryAfter: nil, using: 1) == .seconds(10))
        #expect(policy.pause(after: 1, retryAfter: .seconds(7), using: 1) == .seconds(7))
        #expect(policy.pause(after: 1, retryAfter: .seconds(7000), using: 1) == .seconds(60))
    }

    @Test func opensWhatAURLNames() throws {
        func open(_ url: String, endpoint: String? = nil) throws -> any Remote {
            try openRemote(
                RemoteConfiguration(url: url, endpoint: endpoint), environment: [:], relativeTo: "/base")
        }
        #expect(try open("file:///srv/share").location == "/srv/share")
        #expect(try open("../share").location == "/share")
        #expect(try open("s3://bucket/a/b/").location == "s3://bucket/a/b/")
        for (url, endpoint) in [
            ("", nil), ("file://host/x", nil), ("http://x", nil), ("s3://", nil), ("s3:///x", nil),
            ("s3://bucket/../x", nil), ("s3://buc ket", nil), ("s3://b", "ftp://x"), ("s3://b", "http://user@x"),
            ("s3://b", "http://x/path"), ("s3://b", "x:9000"),
        ] as [(String, String?)] {
            let error = #expect(throws: MLOpsError.self, "\(url)") { try open(url, endpoint: endpoint) }
            #expect(error?.kind == .usage)
        }
    }

    @Test func addressesBucketsAsTheStoreWants() throws {
        func settings(_ url: String, _ endpoint: String?, pathStyle: Bool? = nil) throws -> S3Settings {
            try S3Settings(
                RemoteConfiguration(url: url, endpoint: endpoint, region: "eu-west-1", pathStyle: pathStyle),
                environment: [:])
        }
        let own = try settings("s3://bucket/pre", "http://127.0.0.1:8333/")
        #expect(own.server + own.path(of: "a b") == "http://127.0.0.1:8333/bucket/pre/a%20b")
        #expect(own.path(of: nil) == "/bucket")
        let amazon = try settings("s3://bucket", nil)
        #expect(amazon.server + amazon.path(of: "k") == "https://bucket.s3.eu-west-1.amazonaws.com/k")
        #expect(amazon.path(of: nil) == "/")
        let dotted = try settings("s3://my.bucket", nil)
        #expect(dotted.server + dotted.path(of: "k") == "https://s3.eu-west-1.amazonaws.com/my.bucket/k")
        let virtual = try settings("s3://bucket", "https://s3.example:443", pathStyle: false)
        #expect(virtual.server == "https://bucket.s3.example")
    }

    @Test func sharesNoFolderNameWithItsTemporaryFiles() {
        #expect(RemoteKey.fault(in: "packs/ab/" + String(repeating: "0", count: 64) + ".pack") == nil)
        #expect(RemoteKey.fault(in: TemporaryFile.path(beside: "packs/x")) != nil)
    }
}
