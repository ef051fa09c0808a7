package dev.countersign.identity;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The head of a request as it was received. Each character of a text is the octet with the same number (ISO 8859-1).
 *
 * @param method the method of the request line
 * @param target the request target of the request line, neither decoded nor normalized
 * @param lines  every header line in the order of the request, also if a name repeats (Section 4.2 of the draft)
 */
public record Request(String method, String target, List<Line> lines) {
    /**
     * One header line.
     *
     * @param name  the name as it was received
     * @param value the value; spaces and tabs around it do not count
     */
    public record Line(String name, String value) {
        /** Removes spaces and tabs, and no other white space, around the value. */
        public Line {
            int start = 0;
            int end = value.length();
            while (start < end && isBlank(value.charAt(start))) start++;
            while (end > start && isBlank(value.charAt(end - 1))) end--;
            value = value.substring(start, end);
        }

        private static boolean isBlank(char c) {
            return c == ' ' || c == '\t';
        }

        String lowerName() {
            StringBuilder lower = new StringBuilder(name);
            for (int i = 0; i < lower.length(); i++) {
                char c = lower.charAt(i);
                if (c >= 'A' && c <= 'Z') lower.setCharAt(i, (char) (c + 32));
            }
            return lower.toString();
        }
    }

    /** {@return the target up to its first question mark} */
    public String path() {
        int question = target.indexOf('?');
        return question < 0 ? target : target.substring(0, question);
    }

    /** {@return the rest of the target with its question mark, or a question mark alone} */
    String query() {
        return target.length() == path().length() ? "?" : target.substring(path().length());
    }

    /** {@return whether the method and the path need no identity (Section 3)} */
    public boolean isExempt() {
        return (method.equals("GET") || method.equals("HEAD")) && Grammar.isExemptPath(path());
    }

    /** {@return the lines that are no identity header under any spelling, for the handler of an exempt path (R3-2)} */
    public List<Line> linesWithoutIdentity() {
        return lines.stream().filter(line -> !Headers.isIdentityHeader(line.lowerName())).toList();
    }
}
