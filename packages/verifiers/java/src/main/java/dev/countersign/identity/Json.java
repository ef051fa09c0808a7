package dev.countersign.identity;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.regex.*;
import java.util.stream.Collectors;

/** JSON of RFC 8259 in UTF-8, also after a byte order mark. Another text is an {@code IllegalArgumentException}. */
final class Json {
    record Num(String text) {}

    private static final Pattern SPACE = Pattern.compile("[ \t\r\n]*+");
    private static final Pattern START = Pattern.compile("\ufeff?" + SPACE);
    private static final Pattern ESCAPE = Pattern.compile("\\\\([\"\\\\/bfnrt]|u[0-9A-Fa-f]{4})");
    private static final Pattern SCALAR = Pattern.compile("\"((?:[^\"\\\\\\x00-\\x1f]++|" + ESCAPE + ")*+)\""
        + "|true|false|null|-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?");
    private static final Pattern UNSAFE = Pattern.compile("[\"\\\\\\x00-\\x1f\\p{Cs}]");
    private final String text;
    private int at;

    private Json(String text) { this.text = text; }

    /** Reads an object, at most 16 levels deep. The last of two equal members counts, and numbers keep their text. */
    static Map<String, Object> parse(byte[] document) {
        ByteBuffer octets = ByteBuffer.wrap(document);
        Json json = new Json(Crypto.run(() -> StandardCharsets.UTF_8.newDecoder().decode(octets).toString()));
        json.read(START);
        json.require(json.skip("{"));
        Map<String, Object> members = json.object(0);
        json.require(json.at == json.text.length());
        return members;
    }

    /** Writes a value of {@link #parse}, or an integer. */
    static String write(Object value) {
        if (value instanceof Num number) return number.text();
        if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(Json::write).toList()) + "]";
        if (value instanceof Map<?, ?> map) return "{" + String.join(",", map.entrySet().stream()
            .map(member -> write(member.getKey()) + ":" + write(member.getValue())).toList()) + "}";
        if (!(value instanceof String text)) return "" + value;
        return '"' + UNSAFE.matcher(text).replaceAll(c -> String.format("\\\\u%04x", (int) c.group().charAt(0))) + '"';
    }

    private Object value(int depth) {
        require(depth <= 16);
        return skip("{") ? object(depth) : skip("[") ? array(depth) : scalar();
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        each("}", () -> {
            Object name = scalar();
            require(name instanceof String && skip(":"));
            members.put((String) name, value(depth + 1));
        });
        return members;
    }

    private List<Object> array(int depth) {
        List<Object> items = new ArrayList<>();
        each("]", () -> items.add(value(depth + 1)));
        return items;
    }

    private void each(String end, Runnable item) {
        if (skip(end)) return;
        do item.run(); while (skip(","));
        require(skip(end));
    }

    private Object scalar() {
        MatchResult scalar = read(SCALAR);
        read(SPACE);
        if (scalar.group(1) != null) return ESCAPE.matcher(scalar.group(1)).replaceAll(Json::unescaped);
        return switch (scalar.group()) {
            case "true" -> true;
            case "false" -> false;
            case "null" -> null;
            default -> new Num(scalar.group());
        };
    }

    private static String unescaped(MatchResult escape) {
        String code = escape.group(1);
        char c = code.length() == 5 ? (char) Integer.parseInt(code.substring(1), 16)
            : "\"\\/\b\f\n\r\t".charAt("\"\\/bfnrt".indexOf(code));
        return Matcher.quoteReplacement("" + c);
    }

    /** Moves past a token and the space after it, if it follows. */
    private boolean skip(String token) {
        if (!text.startsWith(token, at)) return false;
        at += token.length();
        read(SPACE);
        return true;
    }

    private MatchResult read(Pattern form) {
        Matcher matcher = form.matcher(text).region(at, text.length());
        require(matcher.lookingAt());
        at = matcher.end();
        return matcher;
    }

    private void require(boolean condition) {
        if (!condition) throw new IllegalArgumentException("malformed JSON at character " + at);
    }
}
