package dev.countersign.identity;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * JSON of RFC 8259 in UTF-8: objects are maps (the last of two equal members counts), arrays are lists, numbers keep
 * their text. Documents nested deeper than 16 levels, and every other text, are an {@code IllegalArgumentException}.
 */
final class Json {
    /** A number as it was written. */
    record Num(String text) {}

    private static final int MAX_DEPTH = 16;
    private static final Pattern NUMBER = Pattern.compile("-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?");
    private static final String ESCAPES = "\"\\/bfnrt";
    private static final String ESCAPED = "\"\\/\b\f\n\r\t";

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    static Object parse(byte[] document) {
        String text;
        try {
            text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(document)).toString();
        } catch (CharacterCodingException invalid) {
            throw new IllegalArgumentException("not UTF-8", invalid);
        }
        Json json = new Json(text);
        Object value = json.value(0);
        json.space();
        if (json.at != text.length()) throw json.malformed();
        return value;
    }

    /** Writes what {@link #parse} returned; a {@code Long} or {@code Integer} is a number too. */
    static String write(Object value) {
        if (value instanceof Map<?, ?> map) {
            List<String> members = new ArrayList<>();
            map.forEach((name, member) -> members.add(quote((String) name) + ":" + write(member)));
            return "{" + String.join(",", members) + "}";
        }
        if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(Json::write).toList()) + "]";
        if (value instanceof String string) return quote(string);
        return value instanceof Num number ? number.text() : String.valueOf(value);
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 0x20 || Character.isSurrogate(c)) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }

    private Object value(int depth) {
        if (depth > MAX_DEPTH) throw malformed();
        space();
        if (skip("{")) return object(depth);
        if (skip("[")) return array(depth);
        if (skip("\"")) return string();
        if (skip("true")) return true;
        if (skip("false")) return false;
        if (skip("null")) return null;
        Matcher number = NUMBER.matcher(text).region(at, text.length());
        if (!number.lookingAt()) throw malformed();
        at = number.end();
        return new Num(number.group());
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        space();
        if (skip("}")) return members;
        do {
            space();
            expect("\"");
            String name = string();
            space();
            expect(":");
            members.put(name, value(depth + 1));
            space();
        } while (skip(","));
        expect("}");
        return members;
    }

    private List<Object> array(int depth) {
        List<Object> items = new ArrayList<>();
        space();
        if (skip("]")) return items;
        do {
            items.add(value(depth + 1));
            space();
        } while (skip(","));
        expect("]");
        return items;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') return out.toString();
            if (c < 0x20) break;
            out.append(c == '\\' ? escape() : c);
        }
        throw malformed();
    }

    private char escape() {
        if (skip("u")) {
            String hex = text.substring(at, Math.min(at + 4, text.length()));
            if (!hex.matches("[0-9A-Fa-f]{4}")) throw malformed();
            at += 4;
            return (char) Integer.parseInt(hex, 16);
        }
        int which = at < text.length() ? ESCAPES.indexOf(text.charAt(at++)) : -1;
        if (which < 0) throw malformed();
        return ESCAPED.charAt(which);
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private boolean skip(String token) {
        if (!text.startsWith(token, at)) return false;
        at += token.length();
        return true;
    }

    private void expect(String token) {
        if (!skip(token)) throw malformed();
    }

    private IllegalArgumentException malformed() {
        return new IllegalArgumentException("malformed JSON at character " + at);
    }
}
