package dev.countersign.identity;

import com.sun.net.httpserver.*;
import java.io.*;
import java.net.*;
import java.util.*;

/**
 * A handler for {@code com.sun.net.httpserver} that runs another handler for verified requests and on exempt paths.
 * Mount it at {@code /}, and set {@code sun.net.httpserver.maxReqHeaders} to 300 or more.
 */
public final class IdentityHandler implements HttpHandler {
    private static final String KEY_SET = "/.well-known/jwks.json";
    private final Verifier verifier;
    private final HttpHandler handler;
    private final List<String> kinds;

    /** Accepts the named kinds of caller, by default {@code user} (R4-5). */
    public IdentityHandler(Verifier verifier, HttpHandler handler, String... kinds) {
        this.verifier = verifier;
        this.handler = handler;
        this.kinds = kinds.length == 0 ? List.of("user") : List.of(kinds);
    }

    /** {@return the caller of the exchange that a handler was given, or null on an exempt path} */
    public static Identity identity(HttpExchange exchange) { return ((Guarded) exchange).identity; }

    @Override public void handle(HttpExchange exchange) throws IOException {
        List<Request.Line> lines = new ArrayList<>();
        exchange.getRequestHeaders().forEach((name, values) ->
            values.forEach(value -> lines.add(new Request.Line(name, value))));
        Request request = new Request(exchange.getRequestMethod(), exchange.getRequestURI().toString(), lines);
        try (exchange) {
            try {
                guard(exchange, request);
            } catch (Refused refused) {
                Refused.Response response = verifier.answer(request, refused);
                exchange.getResponseHeaders().clear();
                response.headers().forEach(exchange.getResponseHeaders()::set);
                send(exchange, response.status(), response.body());
            }
        }
    }

    private void guard(HttpExchange exchange, Request request) throws IOException {
        if (request.isExempt()) {
            handleExempt(exchange, request);
            return;
        }
        Verifier.Verified verified = verifier.verify(request, exchange.getRequestBody()::readNBytes);
        if (verified.body() != null) exchange.setStreams(new ByteArrayInputStream(verified.body()), null);
        handler.handle(new Guarded(exchange, verified.identity().requireKind(kinds), null));
    }

    private void handleExempt(HttpExchange exchange, Request request) throws IOException {
        boolean hasKeys = verifier.agreement() != null && request.path().equals(KEY_SET);
        Guarded guarded = new Guarded(exchange, null, hasKeys ? new ByteArrayOutputStream() : null);
        handler.handle(guarded);
        if (!hasKeys) return;
        byte[] own = guarded.held.toByteArray();
        byte[] keySet = verifier.agreement().keySet(guarded.status, own);
        if (keySet != null) exchange.getResponseHeaders().set("content-type", "application/jwk-set+json");
        send(exchange, keySet == null ? guarded.status : 200, keySet == null ? own : keySet);
    }

    private static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
        boolean isHead = exchange.getRequestMethod().equals("HEAD");
        if (isHead) exchange.getResponseHeaders().set("content-length", String.valueOf(body.length));
        exchange.sendResponseHeaders(status, isHead || body.length == 0 ? -1 : body.length);
        if (!isHead) exchange.getResponseBody().write(body);
    }

    /** The exchange for the handler; its response is held back to add keys, if {@code held} is not null. */
    private static final class Guarded extends HttpExchange {
        private final HttpExchange of;
        private final Identity identity;
        private final ByteArrayOutputStream held;
        private final Headers headers = new Headers();
        private int status;

        Guarded(HttpExchange of, Identity identity, ByteArrayOutputStream held) {
            this.of = of;
            this.identity = identity;
            this.held = held;
            of.getRequestHeaders().forEach((name, values) -> {
                if (identity != null || !Request.isIdentityHeader(name)) headers.put(name, values);
            });
        }

        @Override public void sendResponseHeaders(int code, long length) throws IOException {
            status = code;
            of.getResponseHeaders().keySet().removeIf(name -> name.toLowerCase(Locale.ROOT).startsWith("x-identity-"));
            if (held == null) of.sendResponseHeaders(code, length);
        }

        @Override public Headers getRequestHeaders() { return headers; }
        @Override public String getRequestMethod() { return held == null ? of.getRequestMethod() : "GET"; }
        @Override public OutputStream getResponseBody() { return held == null ? of.getResponseBody() : held; }
        @Override public void close() { if (held == null) of.close(); }
        @Override public Headers getResponseHeaders() { return of.getResponseHeaders(); }
        @Override public URI getRequestURI() { return of.getRequestURI(); }
        @Override public HttpContext getHttpContext() { return of.getHttpContext(); }
        @Override public InputStream getRequestBody() { return of.getRequestBody(); }
        @Override public InetSocketAddress getRemoteAddress() { return of.getRemoteAddress(); }
        @Override public InetSocketAddress getLocalAddress() { return of.getLocalAddress(); }
        @Override public int getResponseCode() { return of.getResponseCode(); }
        @Override public String getProtocol() { return of.getProtocol(); }
        @Override public Object getAttribute(String name) { return of.getAttribute(name); }
        @Override public void setAttribute(String name, Object value) { of.setAttribute(name, value); }
        @Override public void setStreams(InputStream in, OutputStream out) { of.setStreams(in, out); }
        @Override public HttpPrincipal getPrincipal() { return of.getPrincipal(); }
    }
}
