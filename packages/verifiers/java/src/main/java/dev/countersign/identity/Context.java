package dev.countersign.identity;

import java.util.*;
import java.util.regex.*;

/** The parser of {@code x-identity-context}, Section 7 of the draft. */
final class Context {
    private static final String VISIBLE = "[!#-\\[\\]-~]";
    private static final Map<String, Pattern> MEMBERS = Map.of(
        "ip", Pattern.compile("\"([0-9A-Fa-f:.]{1,45})\""),
        "iss", Pattern.compile("\"(" + VISIBLE + "{1,512})\""),
        "sid", Pattern.compile("\"(" + Grammar.ID_TEXT + ")\""),
        "auth-time", Pattern.compile("(0|[1-9][0-9]{0,9})"),
        "amr", list("[A-Za-z0-9._:-]{1,64}", 15),
        "jkt", Pattern.compile("\"([A-Za-z0-9_-]{43})\""),
        "client", Pattern.compile("\"(" + Grammar.ID_TEXT + ")\""),
        "scope", list(VISIBLE + "{1,128}", 63),
        "roles", list("[a-z0-9_-]{1,64}", 63),
        "act", Pattern.compile("\"(" + VISIBLE + "{1,255})\";iss=\"(" + VISIBLE + "{1,512})\""));
    private static final Pattern KEY = Pattern.compile("([a-z-]{1,9})=");
    private static final Pattern SEPARATOR = Pattern.compile(" *+, *+");
    private static final Pattern ITEM = Pattern.compile("\"([^\"]*+)\"");
    private static final String OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    private static final Pattern IPV4 = Pattern.compile(OCTET + "(?:\\." + OCTET + "){3}");
    private static final Pattern H16 = Pattern.compile("[0-9A-Fa-f]{1,4}");

    private Context() {}

    private static Pattern list(String item, int more) {
        return Pattern.compile("\\( *+(\"" + item + "\"(?: +\"" + item + "\"){0," + more + "}) *+\\)");
    }

    /** The members by name, {@code auth_time} with an underscore; refuses with {@code header_malformed}. */
    static Map<String, Object> parse(String text) {
        Map<String, Object> members = new LinkedHashMap<>();
        int at = 0;
        while (!text.isEmpty()) {
            Matcher key = after(KEY, text, at);
            Pattern form = MEMBERS.get(key.group(1));
            Refused.unless("header_malformed", form != null);
            Matcher value = after(form, text, key.end());
            Object before = members.put(key.group(1).replace('-', '_'), member(key.group(1), value));
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
        switch (name) {
            case "auth-time": return Long.valueOf(text);
            case "act": return Map.of("sub", text, "iss", value.group(2));
            case "amr", "scope", "roles":
                List<String> items = ITEM.matcher(text).results().map(item -> item.group(1)).toList();
                Refused.unless("header_malformed", name.equals("amr") || new HashSet<>(items).size() == items.size());
                return items;
            case "ip":
                Refused.unless("header_malformed", IPV4.matcher(text).matches() || isIpv6(text));
                return text;
            default: return text;
        }
    }

    private static boolean isIpv6(String text) {
        int gap = text.indexOf("::");
        if (gap < 0) return groups(text, true) == 8;
        if (text.indexOf("::", gap + 1) >= 0) return false;
        int before = groups(text.substring(0, gap), false);
        int after = groups(text.substring(gap + 2), true);
        return before >= 0 && after >= 0 && before + after <= 7;
    }

    /** The number of groups of 16 bits, or -1; only the end of an address may have an IPv4 address, which is two. */
    private static int groups(String text, boolean atEnd) {
        if (text.isEmpty()) return 0;
        String[] parts = text.split(":", -1);
        int count = parts.length;
        for (int i = 0; i < parts.length; i++) {
            if (H16.matcher(parts[i]).matches()) continue;
            if (!atEnd || i < parts.length - 1 || !IPV4.matcher(parts[i]).matches()) return -1;
            count++;
        }
        return count;
    }
}
