package dev.countersign.identity;

import java.nio.ByteBuffer;
import java.nio.charset.*;
import java.util.*;
import java.util.regex.*;

/**
 * JSON of RFC 8259 in UTF-8, also after a byte order mark, at most 16 levels deep. Objects are maps, the last of two
 * equal members counts; arrays are lists; numbers keep their text. Another text is an {@code IllegalArgumentException}.
 */
final class Json {
    /** A number as it was written. */
    record Num(String text) {}

    private static final int MAX_DEPTH = 16;
    private static final Pattern NUMBER = Pattern.compile("-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?");
    private static final Pattern HEX = Pattern.compile("u([0-9A-Fa-f]{4})");
    private static final String ESCAPES = "\"\\/bfnrt";
    private static final String ESCAPED = "\"\\/\b\f\n\r\t";
    private final String text;
    private int at;

    private Json(String text) { this.text = text; }

    static Object parse(byte[] document) {
        try {
            String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(document)).toString();
            Json json = new Json(text.startsWith("\ufeff") ? text.substring(1) : text);
            Object value = json.value(0);
            json.require(json.at == json.text.length());
            return value;
        } catch (CharacterCodingException invalid) {
            throw new IllegalArgumentException("not UTF-8", invalid);
        }
    }

    /** Writes a value of {@link #parse}, or an integer. */
    static String write(Object value) {
        if (value instanceof Num number) return number.text();
        if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(Json::write).toList()) + "]";
        if (value instanceof Map<?, ?> map) return "{" + String.join(",", map.entrySet().stream()
            .map(member -> write(member.getKey()) + ":" + write(member.getValue())).toList()) + "}";
        if (!(value instanceof String string)) return "" + value;
        StringBuilder out = new StringBuilder("\"");
        for (char c : string.toCharArray()) {
            boolean isPlain = c != '"' && c != '\\' && c >= 0x20 && !Character.isSurrogate(c);
            if (!isPlain) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }

    /** One value, with the space around it. */
    private Object value(int depth) {
        require(depth <= MAX_DEPTH);
        space();
        Matcher number = NUMBER.matcher(text).region(at, text.length());
        Object value = null;
        if (skip("{")) value = object(depth);
        else if (skip("[")) value = array(depth);
        else if (skip("\"")) value = string();
        else if (skip("true")) value = true;
        else if (skip("false")) value = false;
        else if (number.lookingAt()) value = new Num(text.substring(at, at = number.end()));
        else require(skip("null"));
        space();
        return value;
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        space();
        if (skip("}")) return members;
        do {
            Object name = value(MAX_DEPTH);
            require(name instanceof String && skip(":"));
            members.put((String) name, value(depth + 1));
        } while (skip(","));
        require(skip("}"));
        return members;
    }

    private List<Object> array(int depth) {
        List<Object> items = new ArrayList<>();
        space();
        if (skip("]")) return items;
        do items.add(value(depth + 1)); while (skip(","));
        require(skip("]"));
        return items;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        while (!skip("\"")) {
            require(at < text.length() && text.charAt(at) >= 0x20);
            out.append(skip("\\") ? escaped() : text.charAt(at++));
        }
        return out.toString();
    }

    private char escaped() {
        Matcher hex = HEX.matcher(text).region(at, text.length());
        int which = at < text.length() ? ESCAPES.indexOf(text.charAt(at)) : -1;
        require(which >= 0 || hex.lookingAt());
        at += which >= 0 ? 1 : 5;
        return which >= 0 ? ESCAPED.charAt(which) : (char) Integer.parseInt(hex.group(1), 16);
    }

    private void space() { while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++; }

    private boolean skip(String token) {
        boolean follows = text.startsWith(token, at);
        if (follows) at += token.length();
        return follows;
    }

    private void require(boolean condition) {
        if (!condition) throw new IllegalArgumentException("malformed JSON at character " + at);
    }
}
