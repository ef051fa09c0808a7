package dev.countersign.identity;

import java.util.*;
import java.util.regex.*;

/** The parser of {@code x-identity-context}, Section 7 of the draft. */
final class Context {
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
        "sid", Pattern.compile("\"(" + Fields.ID_TEXT + ")\""),
        "auth-time", Pattern.compile("(0|[1-9][0-9]{0,9})"),
        "amr", list("[A-Za-z0-9._:-]{1,64}", 15),
        "jkt", Pattern.compile("\"([A-Za-z0-9_-]{43})\""),
        "client", Pattern.compile("\"(" + Fields.ID_TEXT + ")\""),
        "scope", list(VISIBLE + "{1,128}", 63),
        "roles", list("[a-z0-9_-]{1,64}", 63),
        "act", Pattern.compile("\"(" + VISIBLE + "{1,255})\";iss=\"(" + VISIBLE + "{1,512})\""));
    private static final Pattern KEY = Pattern.compile("([a-z-]{1,9})=");
    private static final Pattern SEPARATOR = Pattern.compile(" *+, *+");
    private static final Pattern ITEM = Pattern.compile("\"([^\"]*+)\"");

    private static Pattern list(String item, int more) {
        return Pattern.compile("\\( *+(\"" + item + "\"(?: +\"" + item + "\"){0," + more + "}) *+\\)");
    }

    /** The members by name, {@code auth_time} with an underscore; refuses with {@code header_malformed}. */
    static Map<String, Object> parse(String text) {
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
