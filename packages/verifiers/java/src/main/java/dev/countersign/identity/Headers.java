package dev.countersign.identity;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** The header fields of Section 4, and rows 2 and 4 of the algorithm. */
final class Headers {
    private static final int MAX_LINES = 256;
    private static final Set<String> KINDS = Set.of("user", "client", "anonymous", "service", "gateway");

    /** A row of the table in Section 4.1 with a number from 4 on, in its order. */
    private record Row(String name, Predicate<String> fits) {}

    private static final List<Row> ROWS = List.of(
        new Row("x-request-id", Grammar.UUID_V7),
        new Row("x-identity", KINDS::contains),
        new Row("x-identity-audience", Grammar.ID),
        new Row("x-identity-context", value -> value.length() <= 2048),
        new Row("x-service-id", Grammar.ID),
        new Row("x-client-id", Grammar.ID),
        new Row("x-user-id", Grammar.ID),
        new Row("x-user-role", Grammar.ROLE),
        new Row("x-tenant-id", Grammar.ID),
        new Row("txn-token", Grammar.TOKEN),
        new Row("content-type", Grammar.PRINTABLE),
        new Row("content-digest", Grammar.DIGEST),
        new Row("upgrade", Grammar.UPGRADE),
        new Row("sec-websocket-key", Grammar.WEBSOCKET_KEY));
    private static final Set<String> ONCE = Set.of("signature-input", "signature", "content-encoding",
        "content-length", "transfer-encoding");
    private static final Set<String> IDENTITY_NAMES = Set.of("x-request-id", "x-identity", "x-identity-audience",
        "x-identity-context", "x-service-id", "x-client-id", "x-user-id", "x-user-role", "x-tenant-id", "txn-token",
        "content-digest", "signature-input", "signature");
    private static final List<String> PREFIXES = List.of("x-identity", "x-user", "x-tenant", "x-service");

    private enum Presence { REQUIRED, OPTIONAL, FORBIDDEN }

    private Headers() {}

    private static String cut(String lowerName) {
        return lowerName.substring(0, Math.min(64, lowerName.length()));
    }

    /** R4-9: whether an application could read the name as an identity header. */
    static boolean isIdentityHeader(String lowerName) {
        String alias = cut(lowerName).replaceAll("[^a-z0-9]", "-");
        return IDENTITY_NAMES.contains(alias) || PREFIXES.stream().anyMatch(alias::startsWith);
    }

    /** Row 2: the headers that the contract knows, each at most once. */
    static Map<String, String> read(List<Request.Line> lines) {
        if (lines.size() > MAX_LINES) throw Refused.reason("header_malformed");
        Map<String, String> headers = new HashMap<>();
        for (Request.Line line : lines) {
            String name = line.lowerName();
            if (ONCE.contains(name) || ROWS.stream().anyMatch(row -> row.name.equals(name))) {
                if (headers.putIfAbsent(name, line.value()) != null) throw Refused.reason("header_duplicated");
            } else if (isIdentityHeader(name)) {
                boolean plain = cut(name).matches("[a-z0-9-]*");
                throw Refused.reason(plain ? "coverage_insufficient" : "header_alias");
            }
        }
        String length = headers.get("content-length");
        if (length != null && (headers.containsKey("transfer-encoding") || !Grammar.CONTENT_LENGTH.test(length))) {
            throw Refused.reason("header_malformed");
        }
        return headers;
    }

    /** Row 4: which headers the kind of caller has, and their values; returns the members of the context. */
    static Map<String, Object> check(Map<String, String> headers, String method) {
        if (!headers.containsKey("x-identity")) throw Refused.reason("header_missing");
        if (!KINDS.contains(headers.get("x-identity"))) throw Refused.reason("header_malformed");
        for (Row row : ROWS) {
            if (isIgnored(row, headers)) continue;
            String value = headers.get(row.name);
            Presence presence = presence(row.name, headers);
            if (value == null && presence == Presence.REQUIRED) throw Refused.reason("header_missing");
            if (value == null) continue;
            if (presence == Presence.FORBIDDEN) throw Refused.reason("coverage_insufficient");
            if (!row.fits.test(value)) throw Refused.reason("header_malformed");
        }
        Map<String, Object> context = Context.parse(headers.get("x-identity-context"));
        if (headers.containsKey("upgrade") && !method.equals("GET")) throw Refused.reason("header_malformed");
        return context;
    }

    /** The names of the fields that a signature of this request covers, in their order (R5-3). */
    static List<String> covered(Map<String, String> headers) {
        return ROWS.stream().filter(row -> headers.containsKey(row.name) && !isIgnored(row, headers))
            .map(Row::name).toList();
    }

    private static boolean isIgnored(Row row, Map<String, String> headers) {
        return row.name.equals("content-type") && !headers.containsKey("content-digest");
    }

    private static Presence presence(String name, Map<String, String> headers) {
        String kind = headers.get("x-identity");
        return switch (name) {
            case "x-service-id" -> requiredIf(kind.equals("service"));
            case "x-client-id" -> kind.equals("service") ? Presence.OPTIONAL : requiredIf(kind.equals("client"));
            case "x-user-id", "x-user-role", "x-tenant-id" -> caller(name, kind, headers);
            case "txn-token" -> kind.equals("anonymous") || kind.equals("gateway") ? Presence.FORBIDDEN
                : Presence.OPTIONAL;
            case "content-type", "content-digest", "upgrade" -> Presence.OPTIONAL;
            case "sec-websocket-key" -> requiredIf(headers.containsKey("upgrade"));
            default -> Presence.REQUIRED;
        };
    }

    /** R4-1 and R4-2 for the user, the role and the tenant. */
    private static Presence caller(String name, String kind, Map<String, String> headers) {
        if (kind.equals("user")) return Presence.REQUIRED;
        if (kind.equals("client") || kind.equals("service") && headers.containsKey("x-client-id")) {
            return name.equals("x-user-id") ? Presence.FORBIDDEN : Presence.OPTIONAL;
        }
        if (!kind.equals("service")) return Presence.FORBIDDEN;
        boolean any = headers.containsKey("x-user-id") || headers.containsKey("x-user-role")
            || headers.containsKey("x-tenant-id");
        return any ? Presence.REQUIRED : Presence.OPTIONAL;
    }

    private static Presence requiredIf(boolean condition) {
        return condition ? Presence.REQUIRED : Presence.FORBIDDEN;
    }
}
