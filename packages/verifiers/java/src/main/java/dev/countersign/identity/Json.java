package dev.countersign.identity;

import java.nio.ByteBuffer;
import java.nio.charset.*;
import java.util.*;
import java.util.regex.*;

/**
 * JSON of RFC 8259 in UTF-8, at most 16 levels deep. Objects are maps, the last of two equal members counts; arrays are
 * lists; numbers keep their text. Another text is an {@code IllegalArgumentException}.
 */
final class Json {
    /** A number as it was written. */
    record Num(String text) {}

    private static final int MAX_DEPTH = 16;
    private static final Pattern NUMBER = Pattern.compile("-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?");
    private static final Map<Character, Character> ESCAPES =
        Map.of('"', '"', '\\', '\\', '/', '/', 'b', '\b', 'f', '\f', 'n', '\n', 'r', '\r', 't', '\t');
    private final String text;
    private int at;

    private Json(String text) { this.text = text; }

    static Object parse(byte[] document) {
        try {
            Json json = new Json(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(document)).toString());
            Object value = json.value(0);
            if (json.at != json.text.length()) throw json.malformed();
            return value;
        } catch (CharacterCodingException invalid) {
            throw new IllegalArgumentException("not UTF-8", invalid);
        }
    }

    /** Writes a value of {@link #parse}, or an integer. */
    static String write(Object value) {
        if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(Json::write).toList()) + "]";
        if (value instanceof Map<?, ?> map) {
            return "{" + String.join(",", map.entrySet().stream()
                .map(member -> write(member.getKey()) + ":" + write(member.getValue())).toList()) + "}";
        }
        if (!(value instanceof String string)) return value instanceof Num number ? number.text() : "" + value;
        StringBuilder out = new StringBuilder("\"");
        for (char c : string.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 0x20 || Character.isSurrogate(c)) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }

    /** One value, with the space around it. */
    private Object value(int depth) {
        if (depth > MAX_DEPTH) throw malformed();
        space();
        Object value;
        Matcher number = NUMBER.matcher(text).region(at, text.length());
        if (skip("{")) value = object(depth);
        else if (skip("[")) value = array(depth);
        else if (skip("\"")) value = string();
        else if (skip("true")) value = true;
        else if (skip("false")) value = false;
        else if (skip("null")) value = null;
        else if (number.lookingAt()) {
            at = number.end();
            value = new Num(number.group());
        } else throw malformed();
        space();
        return value;
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        space();
        if (skip("}")) return members;
        do {
            if (!(value(MAX_DEPTH) instanceof String name)) throw malformed();
            expect(":");
            members.put(name, value(depth + 1));
        } while (skip(","));
        expect("}");
        return members;
    }

    private List<Object> array(int depth) {
        List<Object> items = new ArrayList<>();
        space();
        if (skip("]")) return items;
        do items.add(value(depth + 1)); while (skip(","));
        expect("]");
        return items;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        while (at < text.length() && text.charAt(at) >= 0x20) {
            char c = text.charAt(at++);
            if (c == '"') return out.toString();
            out.append(c == '\\' ? escape() : c);
        }
        throw malformed();
    }

    private char escape() {
        if (skip("u")) {
            at += 4;
            if (at > text.length() || !text.substring(at - 4, at).matches("[0-9A-Fa-f]{4}")) throw malformed();
            return (char) Integer.parseInt(text.substring(at - 4, at), 16);
        }
        Character c = at < text.length() ? ESCAPES.get(text.charAt(at++)) : null;
        if (c == null) throw malformed();
        return c;
    }

    private void space() { while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++; }

    private boolean skip(String token) {
        boolean follows = text.startsWith(token, at);
        if (follows) at += token.length();
        return follows;
    }

    private void expect(String token) { if (!skip(token)) throw malformed(); }

    private IllegalArgumentException malformed() {
        return new IllegalArgumentException("malformed JSON at character " + at);
    }
}
