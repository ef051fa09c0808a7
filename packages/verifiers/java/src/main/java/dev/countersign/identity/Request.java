package dev.countersign.identity;

import java.util.List;

/**
 * The head of a request as it was received: the method, the target, neither decoded nor normalized, and every header
 * line in its order (Section 4.2). Each character of a text is the octet with the same number (ISO 8859-1).
 */
public record Request(String method, String target, List<Line> lines) {
    /** One header line: its name as it was received, and its value without the spaces and tabs around it. */
    public record Line(String name, String value) {
        /** Trims the value: no other white space counts (R4-7). */
        public Line {
            int start = 0;
            int end = value.length();
            while (start < end && " \t".indexOf(value.charAt(start)) >= 0) start++;
            while (end > start && " \t".indexOf(value.charAt(end - 1)) >= 0) end--;
            value = value.substring(start, end);
        }

        /** The name with A to Z in lower case, and no other character changed. */
        String lowerName() {
            StringBuilder lower = new StringBuilder();
            for (char c : name.toCharArray()) lower.append(c >= 'A' && c <= 'Z' ? (char) (c + 32) : c);
            return lower.toString();
        }
    }

    /** {@return the target up to its first question mark} */
    public String path() { return target.split("\\?", 2)[0]; }

    /** The rest of the target with its question mark, or a question mark alone. */
    String query() {
        String query = target.substring(path().length());
        return query.isEmpty() ? "?" : query;
    }

    /** {@return whether the method and the path need no identity (Section 3)} */
    public boolean isExempt() {
        return (method.equals("GET") || method.equals("HEAD")) && Grammar.EXEMPT_PATH.test(path());
    }

    /** {@return the request for the handler of an exempt path, without identity headers and their aliases (R3-2)} */
    public Request withoutIdentity() {
        return new Request(method, target, lines.stream()
            .filter(line -> !Fields.isIdentityHeader(line.lowerName())).toList());
    }
}
