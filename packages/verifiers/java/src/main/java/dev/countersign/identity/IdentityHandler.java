package dev.countersign.identity;

import com.sun.net.httpserver.*;
import java.io.*;
import java.util.*;

/** Runs a plain handler for verified requests and on exempt paths. Create its context at {@code /}. */
public final class IdentityHandler implements HttpHandler {
    private final Verifier verifier;
    private final Handler handler;
    private final String[] kinds;

    /** Responds to a request. On an exempt path, there is no caller (null) and no identity header. */
    public interface Handler {
        Refused.Response handle(Request request, Identity caller, InputStream body) throws IOException;
    }

    /** Accepts the kinds of {@link Identity#requireKind}. */
    public IdentityHandler(Verifier verifier, Handler handler, String... kinds) {
        this.verifier = verifier;
        this.handler = handler;
        this.kinds = kinds;
    }

    @Override public void handle(HttpExchange exchange) throws IOException {
        List<Request.Line> lines = new ArrayList<>();
        exchange.getRequestHeaders().forEach((name, values) ->
            values.forEach(value -> lines.add(new Request.Line(name, value))));
        Request request = new Request(exchange.getRequestMethod(), exchange.getRequestURI().toString(), lines);
        try (exchange) {
            Refused.Response response = respond(request, exchange.getRequestBody());
            boolean isHead = request.method().equals("HEAD");
            int length = response.body().length;
            response.headers().forEach(exchange.getResponseHeaders()::set);
            if (isHead) exchange.getResponseHeaders().set("content-length", "" + length);
            exchange.sendResponseHeaders(response.status(), isHead || length == 0 ? -1 : length);
            if (!isHead) exchange.getResponseBody().write(response.body());
        }
    }

    private Refused.Response respond(Request request, InputStream body) throws IOException {
        try {
            if (request.isExempt()) return finish(request, handler.handle(request.withoutIdentity(), null, body));
            Verifier.Verified verified = verifier.verify(request, body);
            InputStream in = verified.body() == null ? body : new ByteArrayInputStream(verified.body());
            return finish(request, handler.handle(request, verified.identity().requireKind(kinds), in));
        } catch (Refused refused) {
            return verifier.answer(request, refused);
        }
    }

    /** Adds the keys for agreement (R14-8), or removes the fields that only a verifier sets (R10-6). */
    private Refused.Response finish(Request request, Refused.Response own) {
        AgreedKeys agreed = verifier.settings.agreement;
        boolean hasKeys = agreed != null && request.isExempt() && request.path().equals("/.well-known/jwks.json");
        byte[] keys = hasKeys ? agreed.keySet(own.status(), own.body()) : null;
        if (keys != null) return new Refused.Response(200, Map.of("content-type", "application/jwk-set+json"), keys);
        Map<String, String> headers = new LinkedHashMap<>(own.headers());
        headers.keySet().removeIf(name -> name.toLowerCase(Locale.ROOT).startsWith("x-identity-"));
        return new Refused.Response(own.status(), headers, own.body());
    }
}
