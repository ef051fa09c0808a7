package dev.countersign.identity;

import java.nio.charset.StandardCharsets;
import java.util.*;

/** A request that does not reach the handler, or that the handler does not accept, with its response (Section 10). */
public final class Refused extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final int status;
    private final String code;
    private final String[] fields;

    private Refused(int status, String code, String detail, String... fields) {
        super(detail, null, false, false);
        this.status = status;
        this.code = code;
        this.fields = fields;
    }

    static Refused reason(String reason) {
        return new Refused(401, "identity_refused", reason,
            "www-authenticate", "Countersign", "x-identity-refused", reason);
    }

    static void unless(String reason, boolean condition) { if (!condition) throw reason(reason); }

    static Refused unavailable(String cause) {
        return new Refused(503, "identity_unavailable", cause, "retry-after", "1", "x-identity-unavailable", cause);
    }

    static Refused of(int status, String code, String... fields) { return new Refused(status, code, code, fields); }

    /** {@return the status: 401, 403, 413 or 503} */
    public int status() { return status; }

    /** {@return the reason of Section 9.2, the value of {@code x-identity-unavailable}, or the code} */
    public String reason() { return getMessage(); }

    /** A response: its status, its fields by lower-case name, and its body in UTF-8. */
    public record Response(int status, Map<String, String> headers, byte[] body) {}

    /** {@return the response to the request: its path and id are the only parts of it (R10-2)} */
    public Response response(Request request) {
        List<String> ids = request.lines().stream().filter(line -> line.lowerName().equals("x-request-id"))
            .map(Request.Line::value).toList();
        String requestId = ids.size() == 1 && Fields.UUID_V7.test(ids.get(0)) ? ids.get(0) : newUuidV7();
        String path = request.path().substring(0, Math.min(1024, request.path().length()));
        String problem = Json.write(Map.of("type", "urn:countersign:error:" + code, "title", code.replace('_', ' '),
            "status", status, "instance", path, "code", code, "request_id", requestId));
        Map<String, String> headers = new LinkedHashMap<>(Map.of("content-type", "application/problem+json",
            "cache-control", "no-store", "x-request-id", requestId));
        for (int i = 0; i < fields.length; i += 2) headers.put(fields[i], fields[i + 1]);
        return new Response(status, headers, problem.getBytes(StandardCharsets.UTF_8));
    }

    private static String newUuidV7() {
        UUID random = UUID.randomUUID();
        long high = System.currentTimeMillis() << 16 | 0x7000 | random.getMostSignificantBits() & 0xfff;
        return new UUID(high, random.getLeastSignificantBits()).toString();
    }
}
