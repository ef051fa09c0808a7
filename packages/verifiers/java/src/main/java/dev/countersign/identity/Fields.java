package dev.countersign.identity;

import java.util.*;
import java.util.function.Predicate;
import java.util.regex.*;

/** The header fields of Section 4 and the identity context of Section 7: rows 2 and 4 of the algorithm. */
final class Fields {
    static final String ID_TEXT = "[A-Za-z0-9._~:@|-]{1,128}";
    static final Predicate<String> ID = whole(ID_TEXT, 128);
    static final Predicate<String> UUID_V7 =
        whole("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", 36);
    private static final Set<String> KINDS = Set.of("user", "client", "anonymous", "service", "gateway");
    private static final Set<String> SIGNATURE = Set.of("signature-input", "signature");
    private static final Set<String> FRAMING = Set.of("content-encoding", "content-length", "transfer-encoding");
    private static final Set<String> NO_IDENTITY = Set.of("content-type", "upgrade", "sec-websocket-key");
    private static final List<String> ALWAYS =
        List.of("x-request-id", "x-identity", "x-identity-audience", "x-identity-context");
    private static final List<String> CALLER = List.of("x-user-id", "x-user-role", "x-tenant-id");
    /** The rows of the table in Section 4.1 with a number from 4 on, in its order. */
    private static final Map<String, Predicate<String>> ROWS = new LinkedHashMap<>();
    private static final String VISIBLE = "[!#-\\[\\]-~]";
    private static final String OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    private static final String IPV4 = OCTET + "(?:\\." + OCTET + "){3}";
    private static final String GROUP = "[0-9A-Fa-f]{1,4}";
    private static final String GROUPS = "(?:" + GROUP + ":){6}(?:" + GROUP + ":" + GROUP + "|" + IPV4 + ")";
    /** Beside {@code ::} at most seven groups, of which an IPv4 address takes two. */
    private static final String GAP = "(?!(?::*+[0-9A-Fa-f]++){7}(?:\\.|:++[0-9A-Fa-f]))"
        + "(?:" + GROUP + "(?::" + GROUP + ")*)?::(?:(?:" + GROUP + ":)*(?:" + GROUP + "|" + IPV4 + "))?";
    private static final Map<String, Pattern> MEMBERS = Map.of(
        "ip", Pattern.compile("\"(" + IPV4 + "|" + GROUPS + "|" + GAP + ")\""),
        "iss", Pattern.compile("\"(" + VISIBLE + "{1,512})\""),
        "sid", Pattern.compile("\"(" + ID_TEXT + ")\""),
        "auth-time", Pattern.compile("(0|[1-9][0-9]{0,9})"),
        "amr", list("[A-Za-z0-9._:-]{1,64}", 15),
        "jkt", Pattern.compile("\"([A-Za-z0-9_-]{43})\""),
        "client", Pattern.compile("\"(" + ID_TEXT + ")\""),
        "scope", list(VISIBLE + "{1,128}", 63),
        "roles", list("[a-z0-9_-]{1,64}", 63),
        "act", Pattern.compile("\"(" + VISIBLE + "{1,255})\";iss=\"(" + VISIBLE + "{1,512})\""));
    private static final Pattern KEY = Pattern.compile("([a-z-]{1,9})=");
    private static final Pattern SEPARATOR = Pattern.compile(" *+, *+");
    private static final Pattern ITEM = Pattern.compile("\"([^\"]*+)\"");

    static {
        ROWS.put("x-request-id", UUID_V7);
        ROWS.put("x-identity", KINDS::contains);
        ROWS.put("x-identity-audience", ID);
        ROWS.put("x-identity-context", value -> value.length() <= 2048);
        for (String name : List.of("x-service-id", "x-client-id", "x-user-id")) ROWS.put(name, ID);
        ROWS.put("x-user-role", whole("[a-z0-9_-]{1,64}", 64));
        ROWS.put("x-tenant-id", ID);
        ROWS.put("txn-token", whole("[A-Za-z0-9_-]++\\.[A-Za-z0-9_-]++\\.[A-Za-z0-9_-]++", 4096));
        ROWS.put("content-type", whole("[!-~](?:[ -~]*[!-~])?", 1024));
        ROWS.put("content-digest", whole("sha-256=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:", 54));
        ROWS.put("upgrade", whole("[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}", 64));
        ROWS.put("sec-websocket-key", whole("[A-Za-z0-9+/]{22}==", 24));
    }

    /** A grammar, which always describes the whole value. */
    static Predicate<String> whole(String pattern, int maxLength) {
        Predicate<String> matches = Pattern.compile(pattern).asMatchPredicate();
        return value -> value.length() <= maxLength && matches.test(value);
    }

    private static String cut(String name) {
        return name.substring(0, Math.min(64, name.length())).toLowerCase(Locale.ROOT);
    }

    /** R4-9: whether an application could read the name as an identity header. */
    static boolean isIdentityHeader(String name) {
        String alias = cut(name).replaceAll("[^a-z0-9]", "-");
        return SIGNATURE.contains(alias) || ROWS.containsKey(alias) && !NO_IDENTITY.contains(alias)
            || alias.matches("x-(identity|user|tenant|service).*");
    }

    /** Row 2: the headers that the contract knows, each at most once. */
    static Map<String, String> read(List<Request.Line> lines) {
        Refused.unless("header_malformed", lines.size() <= 256);
        Map<String, String> headers = new HashMap<>();
        for (Request.Line line : lines) {
            String name = line.lowerName();
            if (ROWS.containsKey(name) || SIGNATURE.contains(name) || FRAMING.contains(name)) {
                Refused.unless("header_duplicated", headers.putIfAbsent(name, line.value()) == null);
            } else if (isIdentityHeader(name)) {
                throw Refused.reason(cut(name).matches("[a-z0-9-]*") ? "coverage_insufficient" : "header_alias");
            }
        }
        String length = headers.get("content-length");
        boolean isFramed = !headers.containsKey("transfer-encoding") && ("" + length).matches("[0-9]++");
        Refused.unless("header_malformed", length == null || isFramed);
        if (!headers.containsKey("content-digest")) headers.remove("content-type");
        return headers;
    }

    /** Row 4: which headers the kind of caller has, and their values; returns the members of the context. */
    static Map<String, Object> check(Map<String, String> headers, String method) {
        Refused.unless("header_missing", headers.containsKey("x-identity"));
        Refused.unless("header_malformed", KINDS.contains(headers.get("x-identity")));
        Set<String> optional = new HashSet<>(List.of("content-type", "content-digest", "upgrade"));
        Set<String> required = required(headers, optional);
        ROWS.forEach((name, form) -> {
            String value = headers.get(name);
            Refused.unless("header_missing", value != null || !required.contains(name));
            if (value == null) return;
            Refused.unless("coverage_insufficient", required.contains(name) || optional.contains(name));
            Refused.unless("header_malformed", form.test(value));
        });
        Map<String, Object> context = context(headers.get("x-identity-context"));
        Refused.unless("header_malformed", !headers.containsKey("upgrade") || method.equals("GET"));
        return context;
    }

    /** R4-1 to R4-3: the headers that the request must have; adds others that it may have. */
    private static Set<String> required(Map<String, String> headers, Set<String> optional) {
        String kind = headers.get("x-identity");
        Set<String> required = new HashSet<>(ALWAYS);
        if (headers.containsKey("upgrade")) required.add("sec-websocket-key");
        if (kind.equals("anonymous") || kind.equals("gateway")) return required;
        optional.add("txn-token");
        if (kind.equals("service")) required.add("x-service-id");
        if (kind.equals("client") || kind.equals("service") && headers.containsKey("x-client-id")) {
            required.add("x-client-id");
            optional.addAll(CALLER.subList(1, 3));
        } else if (kind.equals("user") || CALLER.stream().anyMatch(headers::containsKey)) required.addAll(CALLER);
        return required;
    }

    /** The names of the fields that a signature of this request covers, in their order (R5-3). */
    static List<String> covered(Map<String, String> headers) {
        return ROWS.keySet().stream().filter(headers::containsKey).toList();
    }

    private static Pattern list(String item, int more) {
        return Pattern.compile("\\( *+(\"" + item + "\"(?: +\"" + item + "\"){0," + more + "}) *+\\)");
    }

    /** The members of the context by name, {@code auth_time} with an underscore (Section 7). */
    private static Map<String, Object> context(String text) {
        Map<String, Object> members = new LinkedHashMap<>();
        int at = 0;
        while (!text.isEmpty()) {
            Matcher key = after(KEY, text, at);
            String name = key.group(1);
            Refused.unless("header_malformed", MEMBERS.containsKey(name));
            Matcher value = after(MEMBERS.get(name), text, key.end());
            Object before = members.put(name.replace('-', '_'), member(name, value));
            Refused.unless("header_malformed", before == null);
            if (value.end() == text.length()) break;
            at = after(SEPARATOR, text, value.end()).end();
        }
        return Collections.unmodifiableMap(members);
    }

    private static Matcher after(Pattern form, String text, int at) {
        Matcher matcher = form.matcher(text).region(at, text.length());
        Refused.unless("header_malformed", matcher.lookingAt());
        return matcher;
    }

    private static Object member(String name, Matcher value) {
        String text = value.group(1);
        if (name.equals("auth-time")) return Long.valueOf(text);
        if (name.equals("act")) return Map.of("sub", text, "iss", value.group(2));
        if (!List.of("amr", "scope", "roles").contains(name)) return text;
        List<String> items = ITEM.matcher(text).results().map(item -> item.group(1)).toList();
        Refused.unless("header_malformed", name.equals("amr") || new HashSet<>(items).size() == items.size());
        return items;
    }
}
