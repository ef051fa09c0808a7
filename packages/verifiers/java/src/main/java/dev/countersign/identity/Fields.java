package dev.countersign.identity;

import java.util.*;
import java.util.function.Predicate;

/** The header fields of Section 4, and rows 2 and 4 of the algorithm. */
final class Fields {
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
    private static final Set<String> NO_IDENTITY = Set.of("content-type", "upgrade", "sec-websocket-key");
    private static final Set<String> SIGNATURE = Set.of("signature-input", "signature");
    private static final Set<String> FRAMING = Set.of("content-encoding", "content-length", "transfer-encoding");

    private Fields() {}

    private static boolean isRow(String name) { return ROWS.stream().anyMatch(row -> row.name.equals(name)); }

    private static String cut(String name) { return name.substring(0, Math.min(64, name.length())); }

    /** R4-9: whether an application could read the name, in lower case, as an identity header. */
    static boolean isIdentityHeader(String name) {
        String alias = cut(name).replaceAll("[^a-z0-9]", "-");
        return SIGNATURE.contains(alias) || isRow(alias) && !NO_IDENTITY.contains(alias)
            || alias.matches("x-(identity|user|tenant|service).*");
    }

    /** Row 2: the headers that the contract knows, each at most once. */
    static Map<String, String> read(List<Request.Line> lines) {
        Refused.unless("header_malformed", lines.size() <= MAX_LINES);
        Map<String, String> headers = new HashMap<>();
        for (Request.Line line : lines) {
            String name = line.lowerName();
            if (isRow(name) || SIGNATURE.contains(name) || FRAMING.contains(name)) {
                Refused.unless("header_duplicated", headers.putIfAbsent(name, line.value()) == null);
            } else if (isIdentityHeader(name)) {
                throw Refused.reason(cut(name).matches("[a-z0-9-]*") ? "coverage_insufficient" : "header_alias");
            }
        }
        String length = headers.get("content-length");
        Refused.unless("header_malformed", length == null
            || !headers.containsKey("transfer-encoding") && Grammar.CONTENT_LENGTH.test(length));
        return headers;
    }

    /** Row 4: which headers the kind of caller has, and their values; returns the members of the context. */
    static Map<String, Object> check(Map<String, String> headers, String method) {
        Refused.unless("header_missing", headers.containsKey("x-identity"));
        Refused.unless("header_malformed", KINDS.contains(headers.get("x-identity")));
        for (Row row : ROWS) {
            if (isIgnored(row, headers)) continue;
            String value = headers.get(row.name);
            Refused.unless("header_missing", value != null || !isRequired(row.name, headers));
            if (value == null) continue;
            Refused.unless("coverage_insufficient", isAllowed(row.name, headers));
            Refused.unless("header_malformed", row.fits.test(value));
        }
        Map<String, Object> context = Context.parse(headers.get("x-identity-context"));
        Refused.unless("header_malformed", !headers.containsKey("upgrade") || method.equals("GET"));
        return context;
    }

    /** The names of the fields that a signature of this request covers, in their order (R5-3). */
    static List<String> covered(Map<String, String> headers) {
        return ROWS.stream().filter(row -> headers.containsKey(row.name) && !isIgnored(row, headers)).map(Row::name)
            .toList();
    }

    private static boolean isIgnored(Row row, Map<String, String> headers) {
        return row.name.equals("content-type") && !headers.containsKey("content-digest");
    }

    private static boolean isRequired(String name, Map<String, String> headers) {
        String kind = headers.get("x-identity");
        return switch (name) {
            case "x-service-id" -> kind.equals("service");
            case "x-client-id" -> kind.equals("client");
            case "x-user-id", "x-user-role", "x-tenant-id" -> kind.equals("user") || kind.equals("service")
                && !headers.containsKey("x-client-id") && (headers.containsKey("x-user-id")
                || headers.containsKey("x-user-role") || headers.containsKey("x-tenant-id"));
            case "txn-token", "content-type", "content-digest", "upgrade" -> false;
            case "sec-websocket-key" -> headers.containsKey("upgrade");
            default -> true;
        };
    }

    private static boolean isAllowed(String name, Map<String, String> headers) {
        String kind = headers.get("x-identity");
        return switch (name) {
            case "x-service-id" -> kind.equals("service");
            case "x-client-id" -> kind.equals("client") || kind.equals("service");
            case "x-user-id" -> kind.equals("user") || kind.equals("service") && !headers.containsKey("x-client-id");
            case "x-user-role", "x-tenant-id", "txn-token" -> !kind.equals("anonymous") && !kind.equals("gateway");
            case "sec-websocket-key" -> headers.containsKey("upgrade");
            default -> true;
        };
    }
}
