package dev.countersign.identity;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** Answers each request with the identity it saw: {@code PORT}, {@code GATEWAY_KEYS_URL}. */
public final class HttpServerService {
    private HttpServerService() {}

    public static void main(String[] args) throws IOException {
        Verifier verifier = new Verifier(Echo.settings());
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Echo.port()), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", new IdentityHandler(verifier, exchange -> {
            byte[] body = Echo.answer(IdentityHandler.identity(exchange)).getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("content-type", "application/json");
            boolean isHead = exchange.getRequestMethod().equals("HEAD");
            exchange.sendResponseHeaders(200, isHead ? -1 : body.length);
            if (!isHead) exchange.getResponseBody().write(body);
        }, "user", "client", "anonymous", "service", "gateway"));
        server.start();
    }
}
