import Basics
import Foundation
import Glibc
import Remotes
import TestSupport
import Testing

/// A real HTTPS server whose certificate comes from an authority of its own.
@Suite(.enabled(if: TLSFront.isAvailable, "openssl or python3 is not installed"))
struct TLSTests {
    @Test func trustsTheAuthorityThatTheRemoteNamesAndNoOther() async throws {
        let store = InMemoryS3()
        let server = try ScriptedServer { store.answer($0) }
        let front = try TLSFront(before: server.port)
        func remote(_ authority: String?, _ variables: [String: String] = [:]) throws -> S3Remote {
            let configuration = RemoteConfiguration(
                url: "s3://bucket/pre", endpoint: front.url, certificateFile: authority)
            let environment = TestS3.environment().merging(variables) { $1 }
            return S3Remote(settings: try S3Settings(configuration, environment: environment))
        }
        try await remote(front.authority).put([1, 2, 3], at: "k")
        #expect(try await remote(nil, ["AWS_CA_BUNDLE": front.authority]).get("k") == [1, 2, 3])
        for authority in [nil, front.otherAuthority] {
            let start = ContinuousClock.now
            let untrusting = try remote(authority)
            let error = await #expect(throws: MLOpsError.self) { try await untrusting.get("k") }
            #expect(error?.exitCode == 13)
            #expect(error?.message.contains("is not trusted") == true, "\(error?.message ?? "")")
            #expect(error?.hint?.contains("ca_file") == true)
            #expect(ContinuousClock.now - start < .seconds(2), "it is not tried again")
        }
        let missing = try remote("/no/such.pem")
        let error = await #expect(throws: MLOpsError.self) { try await missing.get("k") }
        #expect(error?.exitCode == 13)
    }
}

/// TLS in front of a plain server, by a small Python program, with certificates made by openssl.
final class TLSFront: Sendable {
    let url: String
    let authority: String
    let otherAuthority: String
    private let folder: TemporaryFolder
    private let process: Process

    static let isAvailable = ["openssl", "python3"].allSatisfy { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileSystem.exists("\($0)/\(name)")
        }
    }

    private static let program = """
        os, socket, ssl, sys, threading = map(__import__, ("os", "socket", "ssl", "sys", "threading"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        listener = socket.create_server(("127.0.0.1", 0))
        open(sys.argv[4] + ".new", "w").write(str(listener.getsockname()[1]))
        os.rename(sys.argv[4] + ".new", sys.argv[4])
        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        def serve(plain):
            try:
                client = context.wrap_socket(plain, server_side=True)
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            pump(server, client)
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        """

    init(before port: Int) throws {
        folder = try TemporaryFolder()
        let script = try folder.write("front.py", TLSFront.program)
        try folder.write("names", "subjectAltName=IP:127.0.0.1")
        authority = folder("ca.pem")
        otherAuthority = folder("other.pem")
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for name in ["ca", "other"] {
            try TLSFront.run(
                [
                    "openssl", "req", "-x509", "-subj", "/CN=\(name)", "-days", "2", "-keyout", folder("\(name).key"),
                    "-out", folder("\(name).pem"),
                ] + key)
        }
        try TLSFront.run(
            ["openssl", "req", "-subj", "/CN=server", "-keyout", folder("server.key"), "-out", folder("server.csr")]
                + key)
        try TLSFront.run([
            "openssl", "x509", "-req", "-in", folder("server.csr"), "-CA", authority, "-CAkey", folder("ca.key"),
            "-days", "2",
            "-CAcreateserial", "-extfile", folder("names"), "-out", folder("server.pem"),
        ])
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", script, folder("server.pem"), folder("server.key"), String(port), folder("port"),
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        for _ in 0..<200 where !FileSystem.exists(folder("port")) { usleep(20_000) }
        url = "https://127.0.0.1:\(try FileSystem.readText(folder("port")))"
    }

    // Not asked but killed: a program that is started here may have inherited a mask that blocks other signals.
    deinit { kill(process.processIdentifier, SIGKILL) }

    private static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw MLOpsError(.failed, "\(arguments.prefix(2)) failed") }
    }
}
