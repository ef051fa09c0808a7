package dev.countersign.identity;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Executors;

/** Answers each request with the identity it saw: {@code PORT}, {@code GATEWAY_KEYS_URL}. */
public final class HttpServerService {
    private HttpServerService() {}

    public static void main(String[] args) throws IOException {
        Verifier verifier = new Verifier(Echo.settings());
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Echo.port()), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", new IdentityHandler(verifier, (request, caller, body) -> {
            byte[] answer = Echo.answer(caller).getBytes(StandardCharsets.UTF_8);
            return new Refused.Response(200, Map.of("content-type", "application/json"), answer);
        }, "user", "client", "anonymous", "service", "gateway"));
        server.start();
    }
}
